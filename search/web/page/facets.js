// The counts beside the results, each of which is a filter, and the chips that say what is set.

import { $, h, number } from "./dom.js";

const SHOWN = 7;
const KINDS = [
  ["types", "publication_types", "Type"],
  ["mesh", "mesh", "MeSH heading"],
  ["journals", "journals", "Journal"],
  ["languages", "languages", "Language"],
];
const SWITCHES = [["abstract", "With an abstract"], ["free", "With free full text"], ["current", "Not retracted"]];

// NLM's codes are those of ISO 639-2/B, which browsers do not all know.
const LANGUAGES = { ger: "de", fre: "fr", dut: "nl", chi: "zh", cze: "cs", gre: "el", ice: "is", per: "fa", rum: "ro",
  slo: "sk", alb: "sq", arm: "hy", baq: "eu", bur: "my", geo: "ka", mac: "mk", mao: "mi", may: "ms", wel: "cy" };
const names = new Intl.DisplayNames("en", { type: "language", fallback: "code" });

const open = new Set();

/** A filter's value as people read it. */
export function spoken(kind, value) {
  if (kind !== "languages") return value;
  try {
    return names.of(LANGUAGES[value] ?? value);
  } catch {
    return value;
  }
}

/** Draw the switches and the counts. `change(part)` is called with what is to be different in the state. */
export function drawFacets(counts, state, change) {
  // Who filters from a keyboard stays where they were.
  const focused = document.activeElement?.dataset?.key;
  $("only").replaceChildren(...SWITCHES.map(([field, text]) => option(field, text, null, state[field],
    (on) => change({ [field]: on }))));
  $("facets").replaceChildren(...KINDS.map(([field, name, title]) => facet(field, title, counts?.[name] ?? {}, state, change)));
  const note = counts?.articles ? `Counted in ${counts.articles === 1 ? "the one result" : `the first ${number(counts.articles)} results`}.` : "";
  $("facets-note").replaceChildren(note);
  if (focused) [...document.querySelectorAll("#filters [data-key]")].find((box) => box.dataset.key === focused)?.focus();
}

function facet(field, title, counts, state, change) {
  const chosen = state[field];
  const values = [...chosen, ...Object.keys(counts).filter((value) => !chosen.includes(value))];
  if (!values.length) return "";
  const shown = open.has(field) ? values : values.slice(0, Math.max(SHOWN, chosen.length));
  const set = (value, on) => change({ [field]: on ? [...chosen, value] : chosen.filter((other) => other !== value) });
  const id = `facet-${field}`;
  const more = values.length > shown.length || open.has(field)
    ? h("button", { type: "button", class: "link small", "aria-expanded": String(open.has(field)), onclick: () => {
        if (!open.delete(field)) open.add(field);
        drawAgain();
        document.querySelector(`#${id} + .facet-values ~ button`)?.focus();
      } }, open.has(field) ? "Fewer" : `${values.length - shown.length} more`) : null;
  const drawAgain = () => $(id).parentElement.replaceWith(facet(field, title, counts, state, change));
  return h("section", { class: "facet", "aria-labelledby": id }, h("h3", { id }, title),
    h("div", { class: "facet-values" }, shown.map((value) => option(`${field} ${value}`, spoken(field, value),
      counts[value] ?? 0, chosen.includes(value), (on) => set(value, on)))), more);
}

function option(key, text, count, on, change) {
  return h("label", { class: "option" },
    h("input", { type: "checkbox", checked: on, "data-key": key, onchange: (event) => change(event.target.checked) }),
    h("span", { class: "option-text" }, text), count === null ? null : h("span", { class: "count" }, number(count)));
}

/** Draw a chip for each thing that limits the results; a click takes it away. */
export function drawChips(state, likeTitles, change) {
  const chips = state.like.map((pmid) => [`Like: ${likeTitles.get(pmid) ?? `PMID ${pmid}`}`,
    { like: state.like.filter((other) => other !== pmid) }]);
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
  if (state.strategy) chips.push([`Strategy: ${state.strategy.length > 60 ? `${state.strategy.slice(0, 60)}…` : state.strategy}`, { strategy: null }]);
  if (state.extra) chips.push(["More filters of the saved search", { extra: null }]);
  $("chips").replaceChildren(...chips.map(([text, part]) => h("button", {
    type: "button", class: "chip", title: text, "aria-label": `Remove: ${text}`, onclick: () => change(part),
  }, h("span", {}, text), h("span", { class: "cross", "aria-hidden": "true" }, "×"))));
}
