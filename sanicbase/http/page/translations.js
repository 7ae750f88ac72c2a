// What the page says, in the language that was chosen, and what sanicbase says in the document. The texts of a service
// stay as it wrote them.

const KEPT = "sanicbase.docs.language";

let languages = {};
let language = "en";

/** Read the texts of every language; the server knows which one the browser prefers. */
export async function loadTranslations() {
  const response = await fetch(new URL("translations.json", import.meta.url));
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  const found = await response.json();
  languages = found.languages;
  const kept = localStorage.getItem(KEPT);
  language = kept in languages ? kept : found.preferred;
}

/** A text of the page in the language that was chosen. Its English is its key in the catalogs. */
export const _ = (text) => languages[language]?.messages[text] ?? text;

export const chosen = () => language;

/** The language for the attribute `lang`. */
export const languageTag = () => languages[language].tag;

/** Each language with what it calls itself. */
export const languageNames = () => Object.entries(languages).map(([name, { name: shown }]) => [name, shown]);

export function choose(name) {
  language = name;
  localStorage.setItem(KEPT, name);
}
