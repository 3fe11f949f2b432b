// The searches of this browser: kept here alone, the latest first, until they are cleared.

import { write } from "./state.js";

const KEY = "search-history", MOST = 50;

const stored = () => {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "[]");
  } catch {
    return [];
  }
};

// The searches so far: [{search, label, time}].
export const history = stored;

// Note that something was asked; asked again, it moves to the front. Pages and panels are not searches of their own.
export function note(state, label) {
  const search = write({ ...state, page: 1, side: null, view: null });
  const others = stored().filter((entry) => entry.search !== search);
  localStorage.setItem(KEY, JSON.stringify([{ search, label, time: Date.now() }, ...others].slice(0, MOST)));
}

export function clearHistory() {
  localStorage.removeItem(KEY);
}
