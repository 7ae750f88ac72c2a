// The fields of a form for an operation: its parameters, and its body.

import { h } from "./dom.js";
import { _ } from "./translations.js";

/** A row for a parameter. */
export function parameterField(parameter, schemas) {
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
    key: `${parameter.in} ${parameter.name}`,
    row,
    fill: (text) => {
      input.value = text;
    },
    text: () => input.value,
    values: () => (input.value === "" ? [] : many ? input.value.split(",").map((part) => part.trim()) : [input.value]),
  };
}

/** A row for the body; null for an operation without one. */
export function bodyField(operation, schemas) {
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
    fill: (type, text) => {
      select.value = type;
      change();
      editor.fill(text);
    },
    text: () => editor.text(),
    chosenType: () => select.value,
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
  const fill = (given) => {
    element.value = given;
  };
  return { element, fill, text: () => element.value, content: () => element.value };
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
  const written = inputs.filter(({ file }) => !file);
  const text = () => JSON.stringify(Object.fromEntries(written.map(({ input, name }) => [name, input.value])));
  const fill = (given) => {
    const values = JSON.parse(given);
    for (const { input, name } of written) input.value = values[name] ?? "";
  };
  return { element, fill, text, content };
}

/** Where a parameter is sent. */
export const placeName = (place) =>
  ({ path: _("path"), query: _("query"), header: _("header"), cookie: _("cookie") })[place];
