// The page: read the document once, and draw it, again when the language is changed.

import { h, prose } from "./dom.js";
import { card, operationsOf } from "./operations.js";
import { Schemas } from "./schema.js";
import { keepToken, token } from "./sending.js";
import { chooseTheme, nextTheme, theme, themeName } from "./theme.js";
import { _, choose, chosen, languageNames, languageTag, loadTranslations } from "./translations.js";
import { socketCard, socketsOf } from "./websockets.js";

const documents = JSON.parse(document.body.dataset.documents);
const asked = new URLSearchParams(location.search).get("document");
const where = new URL(documents[asked] ?? Object.values(documents)[0], location.href);
// A service's paths begin where its document is: behind a proxy that adds a prefix, behind that prefix.
const base = where.href.replace(/\/[^/]*$/, "");

async function start() {
  try {
    await loadTranslations();
    document.getElementById("loading").textContent = _("Loading…");
    const response = await fetch(where);
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    draw(await response.json());
  } catch (error) {
    document.body.replaceChildren(
      h("p", { class: "wrong", id: "broken" }, _("The document could not be loaded: "), error.message),
    );
  }
}

function draw(api) {
  const schemas = new Schemas(api);
  const operations = operationsOf(api, schemas);
  const sockets = socketsOf(api);
  document.documentElement.lang = languageTag();
  document.title = api.info.title;
  const groups = grouped(operations, api.tags ?? []);
  const main = h(
    "main",
    { id: "top" },
    about(api),
    tokenField(operations),
    groups.map(([tag, members]) => section(tag, members, schemas, api)),
    websockets(sockets),
    errorCodes(api),
    named(api, schemas),
  );
  document.body.replaceChildren(header(api), h("div", { class: "columns" }, sidebar(groups, api, main), main));
  showTarget();
}

/** Open what the address names: whoever follows a link to an operation or a schema sees it. */
function showTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.tagName === "DETAILS") target.open = true;
  target.scrollIntoView();
}

/** "/" goes to the filter, Escape empties it, Enter in it opens the first match, Ctrl+Enter sends a form. */
function pressed(event) {
  const filter = document.getElementById("filter");
  if (!filter) return;
  const writes = event.target.closest("input, textarea, select");
  if (event.key === "/" && !writes) {
    event.preventDefault();
    filter.focus();
  } else if (event.target === filter && event.key === "Escape") {
    filter.value = "";
    filter.dispatchEvent(new Event("input"));
  } else if (event.target === filter && event.key === "Enter") {
    document.querySelector("aside li[data-id]:not([hidden]) a")?.click();
  } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    writes?.form?.requestSubmit();
  }
}

/** In another language; what was open stays open. */
function redraw(language, api) {
  const open = [...document.querySelectorAll("main details[open][id]")].map((each) => each.id);
  choose(language);
  draw(api);
  for (const id of open) document.getElementById(id).open = true;
}

function header(api) {
  const buttons = languageNames().map(([name, shown]) =>
    h(
      "button",
      { type: "button", lang: name, "aria-pressed": String(name === chosen()), click: () => redraw(name, api) },
      shown,
    ),
  );
  const looks = h(
    "button",
    { type: "button", class: "small theme", "aria-label": _("Light or dark"), title: _("Light or dark") },
    themeName(),
  );
  looks.addEventListener("click", () => {
    chooseTheme(nextTheme());
    looks.textContent = themeName();
  });
  return h(
    "header",
    {},
    h("a", { href: "#top", class: "title" }, api.info.title),
    h("span", { class: "version" }, api.info.version),
    documentSelect(),
    h("a", { href: where.href, class: "source", download: `${api.info.title}.openapi.json` }, _("OpenAPI document")),
    looks,
    h("nav", { class: "languages" }, buttons),
  );
}

/** Where the page shows more services than one: which of them. */
function documentSelect() {
  const names = Object.keys(documents);
  if (names.length < 2) return null;
  const options = names.map((name) => h("option", { value: name, selected: name === (asked ?? names[0]) }, name));
  const select = h("select", { id: "document", "aria-label": _("Service") }, options);
  select.addEventListener("change", () => location.assign(`?${new URLSearchParams({ document: select.value })}`));
  return select;
}

function grouped(operations, tags) {
  const names = [...new Set([...tags.map((tag) => tag.name), ...operations.map((each) => each.tag)])];
  return names
    .map((tag) => [tag, operations.filter((each) => each.tag === tag)])
    .filter(([, members]) => members.length);
}

function sidebar(groups, api, main) {
  const none = h("p", { class: "facts", hidden: true }, _("No matches."));
  const hint = `${_("Filter operations")} ( / )`;
  const filter = h("input", { type: "search", id: "filter", placeholder: hint, "aria-label": hint });
  const lists = groups.map(([tag, members]) =>
    h("div", {}, h("h2", {}, tag || _("Operations")), h("ul", {}, members.map(link))),
  );
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    const matching = groups
      .flatMap(([, members]) => members)
      .filter((each) => text(each).includes(wanted))
      .map((each) => each.id);
    for (const item of [
      ...main.querySelectorAll(".operation"),
      ...lists.flatMap((list) => [...list.querySelectorAll("li")]),
    ])
      item.hidden = !matching.includes(item.dataset.id ?? item.id);
    for (const list of [...lists, ...main.querySelectorAll(".group")])
      list.hidden = !list.querySelector("[data-id]:not([hidden]), .operation:not([hidden])");
    none.hidden = matching.length > 0;
  });
  return h(
    "aside",
    {},
    filter,
    none,
    lists,
    h(
      "ul",
      { class: "more" },
      api["x-websockets"]?.length ? h("li", {}, h("a", { href: "#websockets" }, "WebSocket")) : null,
      api["x-error-codes"] ? h("li", {}, h("a", { href: "#errors" }, _("Error codes"))) : null,
      api.components?.schemas ? h("li", {}, h("a", { href: "#schemas" }, _("Schemas"))) : null,
    ),
  );
}

const text = ({ method, path, summary, operationId, told }) =>
  [method, path, summary, operationId, ...told].join(" ").toLowerCase();

function link(operation) {
  const open = () => {
    document.getElementById(operation.id).open = true;
  };
  return h(
    "li",
    { "data-id": operation.id },
    h(
      "a",
      { href: `#${operation.id}`, class: operation.deprecated ? "old" : "", click: open, title: operation.path },
      h("span", { class: `method ${operation.method}` }, operation.method.toUpperCase()),
      operation.summary || operation.path,
    ),
  );
}

function about(api) {
  return h("section", { class: "about" }, h("h1", {}, api.info.title), prose(api.info.description));
}

function tokenField(operations) {
  if (!operations.some((each) => each.schemes.length)) return null;
  const input = h("input", {
    type: "password",
    id: "token",
    autocomplete: "off",
    value: token(),
    input: () => keepToken(input.value.trim()),
  });
  const forget = h(
    "button",
    {
      type: "button",
      class: "small",
      click: () => {
        input.value = "";
        keepToken("");
      },
    },
    _("Clear"),
  );
  // Browsers keep passwords of forms only, and warn of those outside.
  return h(
    "form",
    { class: "token", submit: (event) => event.preventDefault() },
    h("label", { for: "token" }, _("Token")),
    input,
    forget,
    h("small", {}, _("kept in this tab only, and sent with every request below")),
  );
}

function section(tag, members, schemas, api) {
  const told = (api.tags ?? []).find((each) => each.name === tag);
  return h(
    "section",
    { class: "group" },
    h("h2", {}, tag || _("Operations")),
    prose(told?.description),
    members.map((each) => card(each, schemas, base)),
  );
}

function websockets(sockets) {
  if (!sockets.length) return null;
  return h("section", { id: "websockets" }, h("h2", {}, "WebSocket"), sockets.map((each) => socketCard(each, base)));
}

function errorCodes(api) {
  const codes = api["x-error-codes"];
  if (!codes) return null;
  const row = (each) =>
    h(
      "tr",
      {},
      h("td", {}, h("code", {}, String(each.code))),
      h("td", {}, String(each.status)),
      h("td", {}, h("code", {}, each.name)),
      h("td", {}, each[chosen()] ?? _(each.en)),
    );
  return h(
    "section",
    { id: "errors" },
    h("h2", {}, _("Error codes")),
    h(
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
            [_("Code"), _("HTTP"), _("Name"), _("Meaning")].map((text) => h("th", {}, text)),
          ),
        ),
        h("tbody", {}, codes.map(row)),
      ),
    ),
  );
}

function named(api, schemas) {
  const found = Object.keys(api.components?.schemas ?? {});
  if (!found.length) return null;
  const view = (name) => {
    const box = h("details", { class: "named", id: `schema-${name}` }, h("summary", {}, h("code", {}, name)));
    box.addEventListener("toggle", () => {
      if (box.children.length === 1)
        box.append(h("div", { class: "inside" }, schemas.view({ $ref: `#/components/schemas/${name}` })));
    });
    return box;
  };
  return h("section", { id: "schemas" }, h("h2", {}, _("Schemas")), found.map(view));
}

document.documentElement.dataset.theme = theme();
document.addEventListener("keydown", pressed);
window.addEventListener("hashchange", showTarget);
start();
