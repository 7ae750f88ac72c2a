// "Try it": a form for an operation, the request that it makes, and the answer.

import { h } from "./dom.js";
import { _, chosen } from "./translations.js";

const KEPT = "sanicbase.docs.token";
const SHOWN = 200_000; // characters of an answer; a browser that shows more of them stands still

export const token = () => sessionStorage.getItem(KEPT) ?? "";
export const keepToken = (text) => sessionStorage.setItem(KEPT, text);

/** The form of one operation; `base` is where the service's paths begin. */
export function tryForm(operation, schemas, base) {
  const fields = operation.parameters
    .filter((each) => each.in !== "cookie")
    .map((each) => parameterField(each, schemas));
  const body = bodyField(operation, schemas);
  const answer = h("div", { class: "answer", "aria-live": "polite" });
  const button = h("button", { type: "submit", class: "send" }, _("Send"));
  const form = h(
    "form",
    { class: "try", novalidate: true },
    h("h4", {}, _("Try it")),
    fields.map((field) => field.row),
    body?.row,
    button,
    answer,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!form.checkValidity()) {
      form.reportValidity();
      answer.replaceChildren(h("p", { class: "wrong" }, _("Fill in the required fields.")));
      return;
    }
    button.disabled = true;
    button.textContent = _("Sending…");
    try {
      await ask(request(operation, fields, body, base), answer);
    } finally {
      button.disabled = false;
      button.textContent = _("Send");
    }
  });
  return form;
}

function parameterField(parameter, schemas) {
  const schema = schemas.resolve(parameter.schema);
  const sample = parameter.example ?? (parameter.required ? schemas.sample(parameter.schema) : "");
  const attributes = { required: parameter.required, name: parameter.name, autocomplete: "off", spellcheck: "false" };
  const input = schema.enum
    ? h(
        "select",
        attributes,
        parameter.required ? null : h("option", { value: "" }, ""),
        schema.enum.map((value) => h("option", {}, String(value))),
      )
    : h("input", { ...attributes, value: Array.isArray(sample) ? sample.join(", ") : String(sample ?? "") });
  const many = [schema.type].flat().includes("array");
  const must = parameter.required ? h("span", { class: "must" }, _("required")) : null;
  const row = h(
    "label",
    { class: "field" },
    h("span", {}, parameter.name, must, h("small", {}, placeName(parameter.in))),
    input,
  );
  return {
    parameter,
    row,
    values: () => (input.value === "" ? [] : many ? input.value.split(",").map((part) => part.trim()) : [input.value]),
  };
}

function bodyField(operation, schemas) {
  const types = Object.keys(operation.body?.content ?? {});
  if (!types.length) return null;
  const holder = h("div", {});
  const select = h(
    "select",
    { name: "content-type", "aria-label": _("Content type") },
    types.map((type) => h("option", {}, type)),
  );
  let editor;
  const change = () => {
    editor = editorOf(select.value, operation.body.content[select.value], schemas, operation.body.required);
    holder.replaceChildren(editor.element);
  };
  select.addEventListener("change", change);
  change();
  const row = h(
    "div",
    { class: "field" },
    h("span", {}, _("Request body"), h("small", {}, types.length > 1 ? select : types[0])),
    holder,
  );
  return {
    row,
    content: () => editor.content(),
    type: () => (select.value === "multipart/form-data" ? null : select.value),
  };
}

function editorOf(type, media, schemas, required) {
  if (type === "multipart/form-data" || type === "application/x-www-form-urlencoded")
    return formEditor(type, media, schemas);
  const example = media.example ?? Object.values(media.examples ?? {})[0]?.value ?? schemas.sample(media.schema);
  const text = typeof example === "string" ? example : JSON.stringify(example, null, 2);
  const element = h(
    "textarea",
    {
      name: "body",
      rows: Math.min(16, text.split("\n").length + 1),
      required,
      spellcheck: "false",
      "aria-label": _("Request body"),
    },
    text,
  );
  return { element, content: () => element.value };
}

function formEditor(type, media, schemas) {
  const schema = schemas.resolve(media.schema);
  const inputs = Object.entries(schema.properties ?? {}).map(([name, part]) => {
    const whole = schemas.resolve(part);
    const items = schemas.resolve(whole.items ?? {});
    const file = [whole, items].some((each) => each.format === "binary" || each.contentMediaType);
    const required = (schema.required ?? []).includes(name);
    const input = h("input", {
      name,
      required,
      type: file ? "file" : "text",
      multiple: file && whole.type === "array",
      value: file ? null : String(required ? schemas.sample(part) : ""),
    });
    return { input, name, file };
  });
  const element = h(
    "div",
    {},
    inputs.map(({ input, name }) => h("label", { class: "field" }, h("span", {}, name), input)),
  );
  const content = () => {
    const data = type === "multipart/form-data" ? new FormData() : new URLSearchParams();
    for (const { input, name, file } of inputs)
      if (file) for (const each of input.files) data.append(name, each);
      else if (input.value !== "") data.append(name, input.value);
    return data;
  };
  return { element, content };
}

/** What `fetch` takes, made of what is in the form. */
function request(operation, fields, body, base) {
  const headers = { "Accept-Language": chosen(), ...authorization(operation) };
  const query = new URLSearchParams();
  let path = operation.path;
  for (const { parameter, values } of fields) {
    const given = values();
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(given[0] ?? ""));
    else if (parameter.in === "query") given.forEach((value) => query.append(parameter.name, value));
    else if (given.length) headers[parameter.name] = given.join(", ");
  }
  if (body?.type()) headers["Content-Type"] = body.type();
  const asked = query.size ? `?${query}` : "";
  return {
    url: `${base}${path}${asked}`,
    method: operation.method.toUpperCase(),
    headers,
    body: body?.content() || undefined,
  };
}

/** The token as the operation's first scheme wants it: `Authorization: Bearer …`, or a header of its own. */
function authorization(operation) {
  const scheme = operation.schemes[0];
  if (!scheme || !token()) return {};
  if (scheme.type === "apiKey") return scheme.in === "header" ? { [scheme.name]: token() } : {};
  const word = scheme.scheme ?? "bearer";
  return { Authorization: `${word[0].toUpperCase()}${word.slice(1)} ${token()}` };
}

async function ask(asked, place) {
  const begun = performance.now();
  const { url, ...options } = asked;
  let response;
  try {
    response = await fetch(url, { ...options, credentials: "same-origin" });
  } catch (error) {
    place.replaceChildren(h("p", { class: "wrong" }, _("No response: "), error.message));
    return;
  }
  const content = await response.blob();
  const took = Math.round(performance.now() - begun);
  const kind = response.ok ? "good" : "wrong";
  place.replaceChildren(
    h("h4", {}, _("Response")),
    h(
      "p",
      { class: "status" },
      h("b", { class: kind }, `${response.status} ${response.statusText}`),
      ` ${took} ms · ${content.size} B`,
    ),
    await shown(content, response.headers.get("content-type") ?? ""),
    h(
      "details",
      {},
      h("summary", {}, _("Headers")),
      h("pre", {}, [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n")),
    ),
    h("details", {}, h("summary", {}, _("As a curl command")), copied(curl(asked))),
  );
}

async function shown(content, type) {
  if (content.size === 0) return h("p", { class: "facts" }, _("no content"));
  if (!/json|^text\//.test(type))
    return h("a", { href: URL.createObjectURL(content), download: "answer", class: "save" }, _("Save"));
  let text = await content.text();
  if (/json/.test(type)) {
    try {
      text = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      /* it is shown as it came */
    }
  }
  return h("pre", { class: "content" }, text.slice(0, SHOWN));
}

function copied(text) {
  const button = h("button", { type: "button", class: "small" }, _("Copy"));
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = _("Copied");
  });
  return h("div", { class: "curl" }, h("pre", {}, text), navigator.clipboard ? button : null);
}

/** The same request for a shell; the token is left to the reader, for commands are pasted into chats. */
function curl({ url, method, headers, body }) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = [`curl -X ${method} ${quoted(new URL(url, location.href).href)}`];
  for (const [name, value] of Object.entries(headers))
    parts.push(
      name === "Authorization" ? `-H "${name}: ${value.split(" ")[0]} $TOKEN"` : `-H ${quoted(`${name}: ${value}`)}`,
    );
  if (typeof body === "string") parts.push(`-d ${quoted(body)}`);
  else if (body instanceof URLSearchParams) parts.push(`-d ${quoted(body.toString())}`);
  else if (body)
    for (const [name, value] of body)
      parts.push(`-F ${quoted(`${name}=${value instanceof File ? `@${value.name}` : value}`)}`);
  return parts.join(" \\\n  ");
}

/** Where a parameter is sent. */
export const placeName = (place) =>
  ({ path: _("path"), query: _("query"), header: _("header"), cookie: _("cookie") })[place];
