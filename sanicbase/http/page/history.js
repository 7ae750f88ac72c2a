// What was tried in this tab, so that it can be tried again. The token is not in it, and files are not.

const KEPT = "sanicbase.docs.tries";
const MOST = 50;
const LONGEST = 20_000; // characters of a body

const all = () => JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");

/** The tries of an operation, the latest first. */
export const remembered = (id) => all().filter((each) => each.id === id);

export function remember(entry) {
  const kept = (entry.body?.length ?? 0) > LONGEST ? { ...entry, body: "" } : entry;
  sessionStorage.setItem(KEPT, JSON.stringify([kept, ...all()].slice(0, MOST)));
}
