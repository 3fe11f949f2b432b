// What is being looked at, and the address that says so. The address bar is the only place where it is kept.

export const PAGE_SIZE = 20;
export const MODES = ["semantic", "hybrid", "lexical"];

const LISTS = { journal: "journals", type: "types", mesh: "mesh", language: "languages" };
const SWITCHES = { abstract: "abstract", free: "free", current: "current" };

export function empty() {
  return {
    q: "", like: [], mode: null, from: null, to: null, journals: [], types: [], mesh: [], languages: [],
    abstract: false, free: false, current: false, strategy: null, extra: null, page: 1, map: false,
  };
}

/** Read a state from an address's search part. What cannot be read is left out. */
export function read(search) {
  const parameters = new URLSearchParams(search);
  const state = empty();
  state.q = (parameters.get("q") ?? "").trim();
  state.like = parameters.getAll("like").map(Number).filter((pmid) => Number.isSafeInteger(pmid) && pmid > 0);
  state.mode = MODES.includes(parameters.get("mode")) ? parameters.get("mode") : null;
  for (const end of ["from", "to"]) state[end] = year(parameters.get(end));
  for (const [name, field] of Object.entries(LISTS)) state[field] = parameters.getAll(name).filter(Boolean);
  for (const [name, field] of Object.entries(SWITCHES)) state[field] = parameters.get(name) === "1";
  state.strategy = (parameters.get("strategy") ?? "").trim() || null;
  state.page = Math.max(1, Number.parseInt(parameters.get("page") ?? "1", 10) || 1);
  state.map = parameters.get("map") === "1";
  try {
    state.extra = JSON.parse(parameters.get("filters") ?? "null");
  } catch {
    state.extra = null;
  }
  return state;
}

/** Return the search part of the address of a state: "?q=...", or "" where nothing is asked. */
export function write(state) {
  const parameters = new URLSearchParams();
  if (state.q) parameters.set("q", state.q);
  for (const pmid of state.like) parameters.append("like", pmid);
  if (state.mode) parameters.set("mode", state.mode);
  for (const end of ["from", "to"]) if (state[end] !== null) parameters.set(end, state[end]);
  for (const [name, field] of Object.entries(LISTS)) for (const value of state[field]) parameters.append(name, value);
  for (const [name, field] of Object.entries(SWITCHES)) if (state[field]) parameters.set(name, "1");
  if (state.strategy) parameters.set("strategy", state.strategy);
  if (state.extra) parameters.set("filters", JSON.stringify(state.extra));
  if (state.page > 1) parameters.set("page", state.page);
  if (state.map) parameters.set("map", "1");
  const text = parameters.toString();
  return text ? `?${text}` : "";
}

/** Return the filters of a state as the server takes them; without the years where only the rest is wanted. */
export function filters(state, { years = true } = {}) {
  const made = { ...state.extra };
  if (years && state.from !== null) made.year_from = state.from;
  if (years && state.to !== null) made.year_to = state.to;
  if (state.journals.length) made.journals = state.journals;
  if (state.types.length) made.publication_types = state.types;
  if (state.mesh.length) made.mesh = state.mesh;
  if (state.languages.length) made.languages = state.languages;
  if (state.abstract) made.has_abstract = true;
  if (state.free) made.free_full_text = true;
  if (state.current) made.not_retracted = true;
  if (state.strategy) made.strategy = state.strategy;
  return made;
}

/** Return a state for a saved search; filters that this page has no place for stay as they are. */
export function fromSaved(saved) {
  const { year_from, year_to, journals, publication_types, languages, strategy, ...extra } = saved.filters ?? {};
  return {
    ...empty(), q: saved.question, mode: saved.mode, from: year_from ?? null, to: year_to ?? null,
    journals: journals ?? [], types: publication_types ?? [], languages: languages ?? [],
    strategy: strategy ?? null, extra: Object.keys(extra).length ? extra : null,
  };
}

export const isAsking = (state) => Boolean(state.q || state.like.length || state.strategy);

function year(text) {
  const value = Number.parseInt(text ?? "", 10);
  return value >= 1 && value <= 9999 ? value : null;
}
