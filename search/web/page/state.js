// What is being looked at, and the address that says so. The address bar is the only place where it is kept.

export const PAGE_SIZE = 20;
const MODES = ["semantic", "hybrid", "lexical"];

// What narrows: the field of the state, the parameter of the address, and the server's name.
const ENDS = [["from", "year_from"], ["to", "year_to"]];
const LISTS = [["journals", "journal", "journals"], ["types", "type", "publication_types"], ["mesh", "mesh", "mesh"],
  ["languages", "language", "languages"], ["designs", "design", "designs"]];
const SWITCHES = [["abstract", "has_abstract"], ["free", "free_full_text"], ["current", "not_retracted"]];
const CHOICES = { mode: MODES, side: ["map", "answers", "none"], view: ["table"], sort: ["date", "cited"], exact: ["1"], rounds: ["2", "3"] };

// Publication types that a quick filter stands for.
const TRIALS = ["Randomized Controlled Trial", "Controlled Clinical Trial", "Clinical Trial"];
const REVIEWS = ["Review", "Systematic Review", "Meta-Analysis"];

export function empty() {
  return {
    q: "", like: [], kept: null, snowball: null, seen: null, rounds: null, mode: null, sort: null, exact: null, from: null, to: null, journals: [], types: [], mesh: [], languages: [],
    designs: [], abstract: false, free: false, current: false, strategy: null, extra: null, page: 1, side: null, view: null,
  };
}

// Read a state from an address's search part. What cannot be read is left out.
export function read(search) {
  const parameters = new URLSearchParams(search);
  const state = empty();
  state.q = (parameters.get("q") ?? "").trim();
  state.like = parameters.getAll("like").map(Number).filter((pmid) => Number.isSafeInteger(pmid) && pmid > 0);
  for (const name of ["kept", "snowball", "seen"]) state[name] = parameters.get(name) || null;
  for (const [name, values] of Object.entries(CHOICES)) state[name] = values.includes(parameters.get(name)) ? parameters.get(name) : null;
  for (const [end] of ENDS) state[end] = year(parameters.get(end));
  for (const [field, name] of LISTS) state[field] = parameters.getAll(name).filter(Boolean);
  for (const [name] of SWITCHES) state[name] = parameters.get(name) === "1";
  state.strategy = (parameters.get("strategy") ?? "").trim() || null;
  state.page = Math.max(1, Number.parseInt(parameters.get("page") ?? "1", 10) || 1);
  try {
    state.extra = JSON.parse(parameters.get("filters") ?? "null");
  } catch {
    state.extra = null;
  }
  return state;
}

// Return the search part of the address of a state: "?q=...", or "" where nothing is asked.
export function write(state) {
  const parameters = new URLSearchParams();
  if (state.q) parameters.set("q", state.q);
  for (const pmid of state.like) parameters.append("like", pmid);
  for (const name of ["kept", "snowball", "seen", "rounds", "mode", "sort", "exact"]) if (state[name]) parameters.set(name, state[name]);
  for (const [end] of ENDS) if (state[end] !== null) parameters.set(end, state[end]);
  for (const [field, name] of LISTS) for (const value of state[field]) parameters.append(name, value);
  for (const [name] of SWITCHES) if (state[name]) parameters.set(name, "1");
  if (state.strategy) parameters.set("strategy", state.strategy);
  if (state.extra) parameters.set("filters", JSON.stringify(state.extra));
  if (state.page > 1) parameters.set("page", state.page);
  for (const name of ["side", "view"]) if (state[name]) parameters.set(name, state[name]);
  const text = parameters.toString();
  return text ? `?${text}` : "";
}

// Return the filters of a state as the server takes them; `pmids` are those of the collection that is looked at.
export function filters(state, pmids = null) {
  const made = { ...state.extra };
  for (const [end, name] of ENDS) if (state[end] !== null) made[name] = state[end];
  for (const [field, , name] of LISTS) if (state[field].length) made[name] = state[field];
  for (const [field, name] of SWITCHES) if (state[field]) made[name] = true;
  if (pmids) made.strategy = `(${pmids.map((pmid) => `${pmid}[uid]`).join(" OR ")})${state.strategy ? ` AND (${state.strategy})` : ""}`;
  else if (state.strategy) made.strategy = state.strategy;
  return made;
}

// Return a state for a saved search; filters that this page has no place for stay as they are.
export function fromSaved(saved) {
  const { strategy, mesh = [], ...extra } = saved.filters ?? {};
  // A heading with a qualifier, or as a main point, has no box here.
  if (mesh.every((term) => Object.keys(term).length === 1)) extra.mesh = mesh.map((term) => term.descriptor);
  const state = { ...empty(), q: saved.question, mode: saved.mode, strategy: strategy ?? null };
  for (const [field, name] of [...ENDS, ...SWITCHES, ...LISTS.map(([one, , other]) => [one, other])]) {
    state[field] = extra[name] ?? state[field];
    delete extra[name];
  }
  if (mesh.length && !state.mesh.length) extra.mesh = mesh;
  return { ...state, extra: Object.keys(extra).length ? extra : null };
}

// The filters that one click sets: each has a name, whether it is set, and the change that turns it over.
export function quickFilters(state) {
  const recent = new Date().getFullYear() - 4;
  const types = (name, wanted) => {
    const on = wanted.every((type) => state.types.includes(type));
    const others = state.types.filter((type) => !wanted.includes(type));
    return { name, on, part: { types: on ? others : [...others, ...wanted] } };
  };
  const isRecent = state.from === recent && state.to === null;
  const humans = state.mesh.includes("Humans");
  return [
    { name: "Last 5 years", on: isRecent, part: isRecent ? { from: null } : { from: recent, to: null } },
    types("Trial", TRIALS),
    types("Review", REVIEWS),
    { name: "Free full text", on: state.free, part: { free: !state.free } },
    { name: "Humans", on: humans, part: { mesh: humans ? state.mesh.filter((term) => term !== "Humans") : [...state.mesh, "Humans"] } },
  ];
}

export const isAsking = (state) => Boolean(state.q || state.like.length || state.strategy || state.kept || state.snowball);

const numbers = (text) => (text ?? "").split(",").map(Number).filter((pmid) => Number.isSafeInteger(pmid) && pmid > 0);

// What citations are followed from, as the server takes it: PMIDs, or the name of a saved search.
export function followed({ snowball, seen, rounds }) {
  const pmids = numbers(snowball);
  return { ...(pmids.length ? { pmids } : { saved: snowball }), rounds: Number(rounds ?? 1), seen: numbers(seen) };
}

function year(text) {
  const value = Number.parseInt(text ?? "", 10);
  return value >= 1 && value <= 9999 ? value : null;
}
