// The operations of a document: read from its paths, shown as cards that open.

import { h, prose } from "./dom.js";
import { tryForm } from "./sending.js";
import { placeName } from "./fields.js";
import { _ } from "./translations.js";

const METHODS = ["get", "post", "put", "patch", "delete", "head", "options", "trace"];

/** Every operation, with its references resolved and what it inherits from its path and the document. */
export function operationsOf(document, schemas) {
  const schemes = document.components?.securitySchemes ?? {};
  return Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => {
      const told = item[method];
      const security = told.security ?? document.security ?? [];
      return {
        ...told,
        path,
        method,
        id: `${method}-${path}`.replace(/[^\w]+/g, "-"),
        tag: told.tags?.[0] ?? "",
        parameters: [...(item.parameters ?? []), ...(told.parameters ?? [])].map((each) => schemas.resolve(each)),
        body: told.requestBody ? schemas.resolve(told.requestBody) : null,
        schemes: security.flatMap((each) => Object.keys(each)).map((name) => schemas.resolve(schemes[name])),
        told: Object.entries(told.responses ?? {}).flatMap(([status, each]) => [
          status,
          schemas.resolve(each).description ?? "",
        ]),
        locked: security.length > 0 && security.every((each) => Object.keys(each).length > 0),
      };
    }),
  );
}

/** An operation as a card; what is inside is made when it is opened for the first time. */
export function card(operation, schemas, base) {
  const box = h(
    "details",
    { class: `operation ${operation.method}`, id: operation.id },
    h(
      "summary",
      {},
      h("span", { class: "method" }, operation.method.toUpperCase()),
      h("span", { class: operation.deprecated ? "path old" : "path" }, ...pathParts(operation.path)),
      h("span", { class: "said" }, operation.summary ?? ""),
      operation.deprecated ? h("span", { class: "badge old" }, _("deprecated")) : null,
      operation.locked ? h("span", { class: "badge" }, _("needs a token")) : null,
    ),
  );
  box.addEventListener("toggle", () => {
    if (!box.open) return;
    if (box.children.length === 1) box.append(inside(operation, schemas, base));
    history.replaceState(null, "", `#${operation.id}`); // the address is a link to what is read
  });
  return box;
}

/** A path may be broken into lines behind its slashes. */
function pathParts(path) {
  return path.split(/(?<=\/)/).flatMap((part) => [part, h("wbr")]);
}

function inside(operation, schemas, base) {
  return h(
    "div",
    { class: "inside" },
    prose(operation.description),
    operation.parameters.length ? [h("h4", {}, _("Parameters")), parameters(operation, schemas)] : null,
    operation.body
      ? [h("h4", {}, _("Request body")), prose(operation.body.description), contents(operation.body.content, schemas)]
      : null,
    h("h4", {}, _("Responses")),
    Object.entries(operation.responses ?? {}).map(([status, each]) => response(status, schemas.resolve(each), schemas)),
    tryForm(operation, schemas, base),
  );
}

function parameters(operation, schemas) {
  return h(
    "div",
    { class: "wide" },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          [_("Name"), _("In"), _("Type"), _("Meaning")].map((text) => h("th", {}, text)),
        ),
      ),
      h(
        "tbody",
        {},
        operation.parameters.map((each) =>
          h(
            "tr",
            {},
            h(
              "td",
              {},
              h("code", { class: each.deprecated ? "old" : "" }, each.name),
              each.required ? h("span", { class: "must" }, _("required")) : null,
            ),
            h("td", {}, placeName(each.in)),
            h(
              "td",
              {},
              h("span", { class: "type" }, schemas.name(each.schema)),
              schemas.facts(schemas.resolve(each.schema)),
            ),
            h("td", {}, describe(each, schemas)),
          ),
        ),
      ),
    ),
  );
}

function describe(parameter, schemas) {
  const text = parameter.description ?? schemas.resolve(parameter.schema).description;
  return prose(_(text));
}

function response(status, told, schemas) {
  const kind = status.startsWith("2") ? "good" : status.startsWith("3") ? "" : "wrong";
  const [meaning, ...codes] = (told.description ?? "").split("\n\n");
  return h(
    "details",
    { class: "response" },
    h("summary", {}, h("b", { class: kind }, status), " ", _(meaning)),
    prose(codes.join("\n\n")),
    told.headers ? h("p", { class: "facts" }, `${_("Headers")}: ${Object.keys(told.headers).join(", ")}`) : null,
    contents(told.content, schemas),
  );
}

function contents(content, schemas) {
  return Object.entries(content ?? {}).map(([type, media]) => {
    const example =
      media.example ??
      Object.values(media.examples ?? {})[0]?.value ??
      (media.schema ? schemas.sample(media.schema) : undefined);
    return h(
      "div",
      { class: "content-type" },
      h("p", { class: "facts" }, type),
      media.schema ? schemas.view(media.schema) : null,
      /json/.test(type) && example !== undefined
        ? h("details", {}, h("summary", {}, _("Example")), h("pre", {}, JSON.stringify(example, null, 2)))
        : null,
    );
  });
}
