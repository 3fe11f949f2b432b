// The counts beside the results, each of which is a filter, and the chips that say what is set.

import { get } from "./api.js";
import { $, h, number } from "./dom.js";
import { empty, quickFilters } from "./state.js";

const SHOWN = 7;
const KINDS = [
  ["designs", "designs", "Study design"],
  ["types", "publication_types", "Publication type"],
  ["mesh", "mesh", "MeSH heading"],
  ["journals", "journals", "Journal"],
  ["languages", "languages", "Language"],
];
// The fields of completions by kind: these have values beyond those that are counted.
const SUGGESTED = { types: "type", mesh: "mesh", journals: "journal", languages: "language" };
const SWITCHES = [["abstract", "With an abstract"], ["free", "With free full text"], ["current", "Not retracted"]];

// NLM's codes are those of ISO 639-2/B, which browsers do not all know.
const LANGUAGES = { ger: "de", fre: "fr", dut: "nl", chi: "zh", cze: "cs", gre: "el", ice: "is", per: "fa", rum: "ro",
  slo: "sk", alb: "sq", arm: "hy", baq: "eu", bur: "my", geo: "ka", mac: "mk", mao: "mi", may: "ms", wel: "cy" };
const names = new Intl.DisplayNames("en", { type: "language", fallback: "code" });

const open = new Set();
const sought = {};
// The order in which the values of a kind came first for a question: a box stays where it was when another is ticked.
let order = { question: null };

export function spoken(kind, value) {
  if (kind === "designs") return `${value.slice(0, 1).toUpperCase()}${value.slice(1)}`;
  if (kind !== "languages") return value;
  try {
    return names.of(LANGUAGES[value] ?? value);
  } catch {
    return value;
  }
}

// Draw the switches and the counts of a question. `change(part)` is called with what is to be different in the state.
export function drawFacets(question, counts, state, change) {
  if (order.question !== question) order = { question };
  // Who filters from a keyboard stays where they were.
  const focused = document.activeElement?.dataset?.key;
  $("only").replaceChildren(...SWITCHES.map(([field, text]) => option(field, text, null, state[field],
    (on) => change({ [field]: on }))));
  $("facets").replaceChildren(...KINDS.map(([field, name, title]) => facet(field, title, counts?.[name] ?? {}, state, change)));
  if (focused) [...document.querySelectorAll("#filters [data-key]")].find((box) => box.dataset.key === focused)?.focus();
}

function facet(field, title, counts, state, change) {
  const chosen = state[field];
  // A value that no result has now stays in its place, so that nothing moves.
  const known = order[field] ??= [];
  for (const value of [...Object.keys(counts), ...chosen]) if (!known.includes(value)) known.push(value);
  if (!known.length) return "";
  const id = `facet-${field}`, isOpen = open.has(field), seek = (sought[field] ?? "").toLowerCase();
  const fits = (value) => spoken(field, value).toLowerCase().includes(seek);
  const shown = isOpen ? known.filter(fits) : known.filter((value, place) => place < SHOWN || chosen.includes(value));
  const set = (value, on) => change({ [field]: on ? [...chosen, value] : chosen.filter((other) => other !== value) });
  const drawAgain = (focus) => {
    $(id).parentElement.replaceWith(facet(field, title, counts, state, change));
    const box = document.querySelector(`[data-key="${focus}"]`);
    box?.focus();
    box?.setSelectionRange?.(box.value.length, box.value.length);
  };
  const more = known.length > shown.length || isOpen
    ? h("button", { class: "link small", "data-key": `${field}-more`, "aria-expanded": String(isOpen), onclick: () => {
        if (!open.delete(field)) open.add(field);
        delete sought[field];
        drawAgain(open.has(field) ? `${field}-seek` : `${field}-more`);
      } }, isOpen ? "Fewer" : `${known.length - shown.length} more`) : null;
  const seeker = isOpen ? h("input", { type: "search", class: "seek", "data-key": `${field}-seek`, value: sought[field] ?? "",
    placeholder: field in SUGGESTED ? "Find any" : "Find in this list", "aria-label": `Find in ${title}`, oninput: (event) => {
      sought[field] = event.target.value;
      drawAgain(`${field}-seek`);
      findMore(field, event.target.value, () => document.activeElement?.dataset.key === `${field}-seek` && drawAgain(`${field}-seek`));
    } }) : null;
  return h("section", { class: "facet", "aria-labelledby": id }, h("h3", { id }, title), seeker,
    h("div", { class: "facet-values" }, shown.map((value) => option(`${field} ${value}`, spoken(field, value),
      counts[value] ?? 0, chosen.includes(value), (on) => set(value, on)))), more);
}

// Look through all values of the index for those that begin as typed; they join those of the results.
async function findMore(field, typed, draw) {
  if (!(field in SUGGESTED) || typed.trim().length < 2) return;
  const found = await get(`api/suggest?${new URLSearchParams({ field: SUGGESTED[field], prefix: typed, limit: 8 })}`).catch(() => []);
  const added = found.map(({ value }) => value).filter((value) => !order[field].includes(value));
  order[field].push(...added);
  if (added.length) draw();
}

function option(key, text, count, on, change) {
  return h("label", { class: "option" },
    h("input", { type: "checkbox", checked: on, "data-key": key, onchange: (event) => change(event.target.checked) }),
    h("span", { class: "option-text" }, text), count === null ? null : h("span", { class: "count" }, number(count)));
}

// Draw the filters that one click sets.
export function drawQuickFilters(state, change) {
  const focused = document.activeElement?.dataset?.key;
  $("quick").replaceChildren(...quickFilters(state).map(({ name, on, part }) => h("button", {
    class: "pill", "data-key": `quick ${name}`, "aria-pressed": String(on), onclick: () => change(part) }, name)));
  if (focused?.startsWith("quick")) [...$("quick").children].find((pill) => pill.dataset.key === focused)?.focus();
}

// Draw a chip for each thing that limits the results; a click takes it away.
export function drawChips(state, likeTitles, change) {
  const chips = state.like.map((pmid) => [`Like: ${likeTitles.get(pmid) ?? `PMID ${pmid}`}`,
    { like: state.like.filter((other) => other !== pmid) }]);
  if (state.snowball) chips.push([snowballName(state, likeTitles), { snowball: null, seen: null, rounds: null }]);
  if (state.kept) chips.push([`In the collection: ${state.kept}`, { kept: null }]);
  if (state.from !== null || state.to !== null) {
    const years = state.from === state.to ? state.from : `${state.from ?? "…"} – ${state.to ?? "…"}`;
    chips.push([`${years}`, { from: null, to: null }]);
  }
  for (const [field, text] of SWITCHES) if (state[field]) chips.push([text, { [field]: false }]);
  for (const [field] of KINDS) {
    for (const value of state[field]) {
      chips.push([spoken(field, value), { [field]: state[field].filter((other) => other !== value) }]);
    }
  }
  if (state.exact) chips.push(["Only what was typed", { exact: null }]);
  if (state.strategy) chips.push([strategyName(state.strategy), { strategy: null }]);
  if (state.extra) chips.push([`Filters: ${JSON.stringify(state.extra)}`, { extra: null }]);
  const all = chips.length > 1 ? h("button", { class: "link small", onclick: () => change({ ...empty(), q: state.q, like: state.like, mode: state.mode, sort: state.sort }) }, "Clear all") : "";
  $("chips").replaceChildren(...chips.map(([text, part]) => h("button", {
    class: "chip", title: text, "aria-label": `Remove: ${text}`, onclick: () => change(part),
  }, h("span", {}, text), h("span", { class: "cross", "aria-hidden": "true" }, "×"))), all);
}

export function snowballName({ snowball }, titles) {
  const count = snowball.split(",").length, pmid = Number(snowball);
  return `Citing or cited by ${count > 1 ? `${count} articles` : pmid ? titles.get(pmid) ?? `PMID ${pmid}` : `what ${snowball} found`}`;
}

// A strategy as it is named: the author of "Smith J"[au], else how it begins.
export function strategyName(strategy) {
  const author = /^"([^"]+)"\[(?:au|cn)\]$/.exec(strategy);
  if (author) return `Author: ${author[1]}`;
  return `Strategy: ${strategy.length > 60 ? `${strategy.slice(0, 60)}…` : strategy}`;
}
