// Light or dark: as the system has it, unless the reader chooses.

import { _ } from "./translations.js";

const KEPT = "sanicbase.docs.theme";
const THEMES = ["system", "light", "dark"];

export function theme() {
  const kept = localStorage.getItem(KEPT);
  return THEMES.includes(kept) ? kept : THEMES[0];
}

export const nextTheme = () => THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];

export const themeName = () => ({ system: _("system"), light: _("light"), dark: _("dark") })[theme()];

export function chooseTheme(name) {
  localStorage.setItem(KEPT, name);
  document.documentElement.dataset.theme = name;
}
