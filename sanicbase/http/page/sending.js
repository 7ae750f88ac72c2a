// "Try it": a form for an operation, the request that it makes, and the answer.

import { h } from "./dom.js";
import { bodyField, parameterField } from "./fields.js";
import { remember, remembered } from "./history.js";
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
  const past = h("div", {});
  const showPast = () => past.replaceChildren(...pastTries(operation, fields, body));
  showPast();
  const form = h(
    "form",
    { class: "try", novalidate: true },
    h("h4", {}, _("Try it")),
    fields.map((field) => field.row),
    body?.row,
    button,
    past,
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
      const status = await ask(request(operation, fields, body, base), answer);
      remember({
        id: operation.id,
        at: Date.now(),
        status,
        fields: Object.fromEntries(fields.map((field) => [field.key, field.text()])),
        type: body?.chosenType(),
        body: body?.text(),
      });
      showPast();
    } finally {
      button.disabled = false;
      button.textContent = _("Send");
    }
  });
  return form;
}

/** The earlier tries of this tab, each with a button that fills the form as it was. */
function pastTries(operation, fields, body) {
  const tries = remembered(operation.id);
  if (!tries.length) return [];
  const again = (each) => {
    for (const field of fields) field.fill(each.fields[field.key] ?? "");
    if (body && each.type) body.fill(each.type, each.body);
  };
  const row = (each) =>
    h(
      "li",
      {},
      h("button", { type: "button", class: "small", click: () => again(each) }, _("Use again")),
      ` ${new Date(each.at).toLocaleTimeString(chosen())} · ${each.status || _("No response: ")} `,
      h("code", {}, Object.values(each.fields).filter(Boolean).join(" ")),
    );
  return [
    h(
      "details",
      { class: "history" },
      h("summary", {}, `${_("Earlier tries")} (${tries.length})`),
      h("ul", {}, tries.map(row)),
    ),
  ];
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

/** Send the request, and show the answer there. Returns its status; 0 when there was none. */
async function ask(asked, place) {
  const begun = performance.now();
  const { url, ...options } = asked;
  const stop = new AbortController();
  let response;
  try {
    response = await fetch(url, { ...options, credentials: "same-origin", signal: stop.signal });
  } catch (error) {
    place.replaceChildren(h("p", { class: "wrong" }, _("No response: "), error.message));
    return 0;
  }
  if ((response.headers.get("content-type") ?? "").startsWith("text/event-stream")) {
    await follow(response, stop, place);
    return response.status;
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
  return response.status;
}

/** Show the events of a stream as they come, until it ends or the reader stops it. */
async function follow(response, stop, place) {
  const content = h("pre", { class: "content" });
  const button = h("button", { type: "button", class: "small", click: () => stop.abort() }, _("Stop"));
  place.replaceChildren(h("p", { class: "status" }, h("b", { class: "good" }, response.status), " ", button), content);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read())
      content.textContent = `${content.textContent}${read.value}`.slice(-SHOWN);
  } catch {
    /* it was stopped, or the service ended it */
  }
  button.remove();
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
