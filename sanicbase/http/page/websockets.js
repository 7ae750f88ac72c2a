// The WebSockets of a document, which OpenAPI has no place for: cards that connect.

import { h, prose } from "./dom.js";
import { _, chosen } from "./translations.js";

const SHOWN = 500; // messages; older ones are dropped

/** Every WebSocket of a document. */
export function socketsOf(document) {
  return (document["x-websockets"] ?? []).map((each) => ({
    ...each,
    id: `websocket-${each.path}`.replace(/[^\w]+/g, "-"),
    parameters: [...each.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
    locked: each.guarded,
  }));
}

/** A WebSocket as a card; its form is made when it is opened for the first time. */
export function socketCard(socket, base) {
  const box = h(
    "details",
    { class: "operation socket", id: socket.id },
    h(
      "summary",
      {},
      h("span", { class: "method" }, "WS"),
      h("span", { class: "path" }, socket.path),
      h("span", { class: "said" }, socket.summary ?? ""),
      socket.locked ? h("span", { class: "badge" }, _("needs a token")) : null,
    ),
  );
  box.addEventListener("toggle", () => {
    if (!box.open) return;
    if (box.children.length === 1) box.append(h("div", { class: "inside" }, prose(socket.description), talk(socket, base)));
    history.replaceState(null, "", `#${socket.id}`);
  });
  return box;
}

function talk(socket, base) {
  const fields = socket.parameters.map((name) => [name, h("input", { name, required: true, autocomplete: "off" })]);
  const log = h("ol", { class: "messages", "aria-live": "polite" });
  const message = h("textarea", { name: "message", rows: 3, spellcheck: "false", "aria-label": _("Message") });
  const connect = h("button", { type: "button", class: "send" }, _("Connect"));
  const send = h("button", { type: "submit", class: "send", disabled: true }, _("Send"));
  let open = null;
  const say = (kind, text) => {
    log.append(h("li", { class: kind }, h("time", {}, new Date().toLocaleTimeString(chosen())), h("span", {}, text)));
    while (log.children.length > SHOWN) log.firstChild.remove();
  };
  const show = () => {
    connect.textContent = open ? _("Disconnect") : _("Connect");
    send.disabled = open?.readyState !== WebSocket.OPEN;
  };
  connect.addEventListener("click", () => {
    if (open) {
      open.close(1000);
      return;
    }
    open = new WebSocket(address(socket, fields, base));
    open.addEventListener("open", () => {
      say("note", _("connected"));
      show();
    });
    open.addEventListener("message", ({ data }) =>
      say("received", typeof data === "string" ? data : `${data.size} B`),
    );
    open.addEventListener("close", ({ code, reason }) => {
      say("note", `${_("closed")} ${code} ${reason}`);
      open = null;
      show();
    });
    show();
  });
  const form = h(
    "form",
    { class: "try" },
    fields.map(([name, input]) => h("label", { class: "field" }, h("span", {}, name), input)),
    message,
    connect,
    " ",
    send,
    log,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (open?.readyState !== WebSocket.OPEN) return;
    open.send(message.value);
    say("sent", message.value);
  });
  return form;
}

function address(socket, fields, base) {
  const path = fields.reduce(
    (whole, [name, input]) => whole.replace(`{${name}}`, encodeURIComponent(input.value)),
    socket.path,
  );
  return `${base}${path}`.replace(/^http/, "ws");
}
