// JSON Schema (2020-12, as OpenAPI 3.1 has it): shown as a tree, and as an example of what fits.

import { h, prose } from "./dom.js";
import { _ } from "./translations.js";

const DEEPEST = 6;
const limits = () => ({
  minimum: ["", "≥"],
  maximum: ["", "≤"],
  exclusiveMinimum: ["", ">"],
  exclusiveMaximum: ["", "<"],
  multipleOf: ["", "×"],
  minLength: [_("length"), "≥"],
  maxLength: [_("length"), "≤"],
  minItems: [_("items"), "≥"],
  maxItems: [_("items"), "≤"],
  pattern: ["", "~"],
});
const FORMATS = {
  "date-time": "2026-01-31T12:00:00Z",
  date: "2026-01-31",
  time: "12:00:00",
  duration: "PT1H",
  email: "name@example.org",
  uuid: "3fa85f64-5717-4562-b3fc-2c963f66afa6",
  uri: "https://example.org/",
  ipv4: "192.0.2.1",
  binary: "",
};

function sampleText({ format, minLength = 0, maxLength = 100 }) {
  return FORMATS[format] ?? "text".padEnd(minLength, "t").slice(0, maxLength);
}

export class Schemas {
  constructor(document) {
    this.document = document;
  }

  /** What a reference points at; every other value is itself. */
  resolve(value) {
    for (let hops = 0; value && value.$ref && hops < 20; hops += 1) {
      const { $ref, ...beside } = value;
      const found = $ref
        .split("/")
        .slice(1)
        .reduce(
          (place, part) => place?.[decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~")],
          this.document,
        );
      value = { ...found, ...beside };
    }
    return value ?? {};
  }

  /** The type in a few words: "string", "Article[]", "integer | null". */
  name(schema) {
    if (schema === true || schema === undefined) return _("anything");
    if (schema.$ref) return schema.$ref.split("/").pop();
    const parts = schema.oneOf ?? schema.anyOf;
    if (parts) return parts.map((part) => this.name(part)).join(" | ");
    if (schema.allOf) return schema.allOf.map((part) => this.name(part)).join(" & ");
    if ("const" in schema) return JSON.stringify(schema.const);
    const types = [schema.type ?? (schema.properties ? "object" : schema.enum ? "enum" : _("anything"))].flat();
    return types.map((type) => this.#typeName(schema, type)).join(" | ");
  }

  #typeName(schema, type) {
    if (schema.prefixItems) return `[${schema.prefixItems.map((part) => this.name(part)).join(", ")}]`;
    if (type === "array") return `${this.name(schema.items)}[]`;
    if (type === "object" && typeof schema.additionalProperties === "object")
      return `{ [key]: ${this.name(schema.additionalProperties)} }`;
    return schema.format ? `${type} (${schema.format})` : type;
  }

  /** A value that fits: the schema's own example, or one that is made. */
  sample(schema, depth = 0) {
    schema = this.resolve(schema);
    if (schema.examples?.length) return schema.examples[0];
    for (const key of ["example", "default", "const"]) if (schema[key] !== undefined) return schema[key];
    if (schema.enum) return schema.enum[0];
    if (depth > DEEPEST) return null;
    const parts = schema.oneOf ?? schema.anyOf;
    if (parts) return this.sample(parts.find((part) => part.type !== "null") ?? parts[0], depth + 1);
    if (schema.allOf) return Object.assign({}, ...schema.allOf.map((part) => this.sample(part, depth + 1)));
    return this.#sampleOfType(
      schema,
      [schema.type].flat().find((type) => type !== "null"),
      depth,
    );
  }

  #sampleOfType(schema, type, depth) {
    if (type === "object" || schema.properties) {
      const shown = Object.entries(schema.properties ?? {}).filter(([, part]) => !this.resolve(part).readOnly);
      return Object.fromEntries(shown.map(([name, part]) => [name, this.sample(part, depth + 1)]));
    }
    if (type === "array")
      return (schema.prefixItems ?? [schema.items ?? {}]).map((part) => this.sample(part, depth + 1));
    if (type === "integer" || type === "number")
      return schema.minimum ?? (schema.exclusiveMinimum === undefined ? 0 : schema.exclusiveMinimum + 1);
    if (type === "boolean") return true;
    return type === "string" ? sampleText(schema) : null;
  }

  /** The schema as a tree; what is referred to opens when it is asked for, so that circles have an end. */
  view(schema, depth = 0) {
    if (schema === true || schema === undefined) return h("span", { class: "type" }, _("anything"));
    if (schema.$ref && depth > 0) return this.#folded(schema, depth);
    const whole = this.resolve(schema);
    const inner = [whole.items, whole.additionalProperties, ...(whole.prefixItems ?? [])];
    return h(
      "div",
      { class: "schema" },
      depth === 0 ? [h("span", { class: "type" }, this.name(schema)), ...prose(whole.description)] : [],
      whole.properties ? this.#properties(whole, depth) : null,
      this.#parts(whole, depth),
      inner.filter((part) => this.#isDeep(part)).map((part) => this.view(part, depth + 1)),
      depth === 0 ? this.facts(whole) : null,
    );
  }

  /** The alternatives of a union, those alone that have more to show than a name; of `X | null` that is X. */
  #parts(schema, depth) {
    const parts = (schema.oneOf ?? schema.anyOf ?? schema.allOf ?? []).filter((part) => part.type !== "null");
    const shown = parts.filter((part) => this.#isDeep(part)).map((part) => this.view(part, depth + 1));
    if (!shown.length) return null;
    const several = parts.length > 1 && !schema.allOf;
    return h("div", { class: "parts" }, several ? h("small", {}, _("one of")) : null, shown);
  }

  #folded(schema, depth) {
    const box = h("details", {}, h("summary", { class: "type" }, this.name(schema)));
    box.addEventListener("toggle", () => {
      const { $ref } = schema;
      if (box.children.length === 1)
        box.append(this.view({ ...this.resolve({ $ref }), description: undefined }, depth + 1));
    });
    return box;
  }

  #properties(schema, depth) {
    const required = new Set(schema.required ?? []);
    return h(
      "ul",
      { class: "properties" },
      Object.entries(schema.properties).map(([name, part]) => {
        const whole = this.resolve(part);
        return h(
          "li",
          {},
          h("code", { class: whole.deprecated ? "old" : "" }, name),
          required.has(name) ? h("span", { class: "must" }, _("required")) : null,
          part.$ref ? null : h("span", { class: "type" }, this.name(part)),
          whole.deprecated ? h("span", { class: "badge old" }, _("deprecated")) : null,
          this.facts(whole),
          prose(whole.description),
          this.#isDeep(part) ? this.view(part, depth + 1) : null,
        );
      }),
    );
  }

  /** Whether there is more to see than the type's name. */
  #isDeep(schema) {
    if (!schema || schema === true) return false;
    if (schema.$ref || schema.properties) return true;
    const unions = schema.oneOf ?? schema.anyOf ?? schema.allOf ?? [];
    return [schema.items, schema.additionalProperties, ...(schema.prefixItems ?? []), ...unions].some((part) =>
      this.#isDeep(part),
    );
  }

  /** Limits, values and default, on one line. */
  facts(schema) {
    const found = Object.entries(limits())
      .filter(([key]) => schema[key] !== undefined)
      .map(([key, [what, sign]]) => `${what} ${sign} ${schema[key]}`.trim());
    if (schema.enum) found.push(`${_("values")}: ${schema.enum.map((value) => JSON.stringify(value)).join(", ")}`);
    if (schema.default !== undefined && schema.default !== null)
      found.push(`${_("default")}: ${JSON.stringify(schema.default)}`);
    return found.length ? h("span", { class: "facts" }, found.join("  ·  ")) : null;
  }
}
