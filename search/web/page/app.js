// The page: reads the address, asks the server, shows what it answers. Every change goes through the address.

import { Failure, get, onTokenNeeded, post, put } from "./api.js";
import { $, h, number, plural } from "./dom.js";
import { drawChips, drawFacets } from "./facets.js";
import { setUpKeys } from "./keys.js";
import { drawMap } from "./map.js";
import { resultItem, showEvidence } from "./results.js";
import * as selection from "./selection.js";
import { PAGE_SIZE, empty, filters, fromSaved, isAsking, read, write } from "./state.js";
import { setUpStrategy } from "./strategy.js";
import { setUpTheme } from "./theme.js";
import { drawYears } from "./years.js";

const EXAMPLES = [
  "does aspirin lower the risk of bowel cancer?",
  "should blood pressure pills be taken at night?",
  "statins in people over 75 without heart disease",
  "does exercise help people with depression?",
];
const COUNTED = 1000, MAPPED = 300, EVIDENCE_AT_ONCE = 5;

let state = read(location.search);
let running = new AbortController();
let counted = { question: null, counts: null };
let about = { mode: "semantic", write: false, limits: { results: COUNTED } };
const titles = selection.selectedTitles();

/** Change a part of the state, note it in the address, and show it. */
function change(part, { replace = false } = {}) {
  const next = { ...state, page: 1, ...part };
  const address = write(next) || location.pathname;
  // Another list is read from its beginning.
  if (next.q !== state.q || String(next.like) !== String(state.like)) scrollTo({ top: 0 });
  if (replace || address === (location.search || location.pathname)) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  show(next);
}

/** What is asked of the server: a question, or articles of which more are wanted. */
function wanted(from = state, options = {}) {
  const base = { filters: filters(from, options) };
  if (from.like.length) return { ...base, pmids: from.like };
  return { ...base, question: from.q, mode: from.mode ?? about.mode };
}

async function show(next) {
  state = next;
  running.abort();
  running = new AbortController();
  const { signal } = running;
  drawControls();
  if (!isAsking(state)) return;
  document.body.setAttribute("aria-busy", "true");
  document.body.classList.add("waiting");
  $("problem").replaceChildren();
  try {
    await Promise.all([showHits(signal), beside("facets-note", showCounts(signal)), beside("map", showMap(signal))]);
  } catch (error) {
    if (error.name !== "AbortError") tellProblem(error);
  } finally {
    if (running.signal === signal) {
      document.body.removeAttribute("aria-busy");
      document.body.classList.remove("waiting");
    }
  }
}

/** What stands beside the results may fail alone: it is told there, and the results stay. */
async function beside(id, work) {
  try {
    await work;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (!$("problem").childElementCount) $(id).replaceChildren(h("p", { class: "problem-text" }, told(error)));
  }
}

function drawControls() {
  const asking = isAsking(state);
  document.documentElement.dataset.view = asking ? "found" : "start";
  $("start").hidden = asking;
  $("found").hidden = !asking;
  $("question").value = state.q;
  const like = state.like.length ? `Like ${titles.get(state.like[0]) || `PMID ${state.like[0]}`}` : "";
  const topic = state.q || like;
  document.title = topic ? `${topic} – PubMed semantic search` : "PubMed semantic search";
  for (const box of $("modes").querySelectorAll("input")) {
    box.checked = box.value === (state.mode ?? about.mode);
    box.disabled = state.like.length > 0;
  }
  $("map-button").setAttribute("aria-pressed", String(state.map));
  $("map").hidden = !state.map;
  $("found").classList.toggle("with-map", state.map);
  drawChips(state, titles, change);
  selection.draw();
}

// Results -------------------------------------------------------------------------------------------------------------

async function showHits(signal) {
  const asked = { ...wanted(), limit: PAGE_SIZE, offset: (state.page - 1) * PAGE_SIZE };
  $("summary").replaceChildren("Searching …");
  const hits = await post(state.like.length ? "api/similar" : "api/search", asked, signal);
  for (const hit of hits) titles.set(hit.pmid, hit.title);
  const act = { similar: (hit) => change({ ...empty(), like: [hit.pmid], map: state.map }),
    select: selection.select, isSelected: selection.isSelected };
  const items = hits.map((hit) => resultItem(hit, act));
  $("results").replaceChildren(...items);
  // The list is there; sentences, counts and map follow.
  document.body.classList.remove("waiting");
  $("results").start = asked.offset + 1;
  $("summary").replaceChildren(summary(hits, asked.offset));
  drawPages(hits.length);
  if (state.q && hits.length) await showEvidenceOf(asked, items, signal);
}

function summary(hits, offset) {
  if (!hits.length) {
    return offset ? "There are no more results." : "Nothing passes these filters. Take one away, or ask in other words.";
  }
  if (hits.length === 1 && !offset) return "1 result";
  return `Results ${number(offset + 1)} to ${number(offset + hits.length)}`;
}

/** Sentences are found some articles at a time, so that the first are there soon. */
async function showEvidenceOf(asked, items, signal) {
  const byPmid = new Map(items.map((item) => [item.hit.pmid, item]));
  try {
    for (let start = 0; start < items.length; start += EVIDENCE_AT_ONCE) {
      const part = { ...asked, offset: asked.offset + start, limit: Math.min(EVIDENCE_AT_ONCE, items.length - start), evidence: 1 };
      for (const hit of await post("api/search", part, signal)) {
        const item = byPmid.get(hit.pmid);
        if (item) showEvidence(item, hit.evidence);
      }
    }
  } catch (error) {
    // The results are there; without the sentences they show how their abstracts begin.
    if (error.name === "AbortError") throw error;
  }
}

function drawPages(count) {
  const most = Math.floor(about.limits.results / PAGE_SIZE);
  const page = (text, target, on, name) => h("button", { type: "button", class: "quiet", id: name, disabled: !on,
    onclick: () => { change({ page: target }); $("results").focus({ preventScroll: true }); scrollTo({ top: 0 }); } }, text);
  const more = count === PAGE_SIZE && state.page < most;
  $("pages").hidden = state.page === 1 && !more;
  $("pages").replaceChildren(page("← Previous", state.page - 1, state.page > 1, "previous"),
    h("span", { class: "muted" }, `Page ${state.page}`), page("Next →", state.page + 1, more, "next"));
}

// Counts and map ------------------------------------------------------------------------------------------------------

async function showCounts(signal) {
  const depth = Math.min(COUNTED, about.limits.results);
  const limited = state.from !== null || state.to !== null;
  // Until the new counts are there, those of the same question stay, so that nothing jumps away from the pointer.
  const question = JSON.stringify([state.q, state.like, state.mode]);
  drawFacets(counted.question === question ? counted.counts : null, state, change);
  // The histogram shows what there would be in the other years, too.
  const all = post("api/facets", { ...wanted(state, { years: false }), depth }, signal);
  const counts = limited ? await post("api/facets", { ...wanted(), depth }, signal) : await all;
  counted = { question, counts };
  drawFacets(counts, state, change);
  drawYears($("years"), (await all).years, state.from, state.to, (from, to) => change({ from, to }));
}

async function showMap(signal) {
  if (!state.map) return;
  $("map").replaceChildren(h("p", { class: "muted" }, "Drawing the map …"));
  const map = await post("api/map", { ...wanted(), limit: Math.min(MAPPED, about.limits.results) }, signal);
  drawMap($("map"), map, {
    similar: (point) => { titles.set(point.pmid, point.title); change({ ...empty(), like: [point.pmid], map: true }); },
    show: (point) => {
      const page = Math.ceil(point.rank / PAGE_SIZE);
      if (page !== state.page) change({ page });
      const reveal = () => $(`r${point.pmid}`)?.focus();
      if ($(`r${point.pmid}`)) reveal();
      else new MutationObserver((_, observer) => { if ($(`r${point.pmid}`)) { observer.disconnect(); reveal(); } })
        .observe($("results"), { childList: true });
    },
  });
}

function told(error) {
  if (!(error instanceof Failure)) return `Something went wrong in this page: ${error.message}`;
  return `${error.message.slice(0, 1).toUpperCase()}${error.message.slice(1)}`;
}

function tellProblem(error) {
  const again = error.status === 400 ? null : h("button", { type: "button", class: "quiet", onclick: () => show(state) }, "Try again");
  // What follows the first line points at a place in the question.
  const [first, ...place] = told(error).split("\n");
  $("problem").replaceChildren(h("div", { class: "problem" },
    h("div", {}, h("p", {}, first), place.length ? h("pre", {}, place.join("\n")) : null), again));
  // What is still there would be taken for the answer to this question.
  for (const id of ["summary", "results", "pages", "map", "years", "facets-note"]) $(id).replaceChildren();
}

// The start -----------------------------------------------------------------------------------------------------------

/** Fill the page that is shown before anything is asked. */
async function showStart() {
  const example = (text, target) => h("a", { class: "example", href: write(target), onclick: (event) => {
    event.preventDefault();
    change(target);
  } }, text);
  $("examples").replaceChildren(...EXAMPLES.map((text) => example(text, { ...empty(), q: text })));
  try {
    const [status, saved] = await Promise.all([get("api/status"), get("api/saved")]);
    $("facts").replaceChildren(`${plural(status.articles, "article")} · model ${status.model} · everything happens on this server`);
    $("saved").hidden = !saved.length;
    $("saved").replaceChildren(h("h2", {}, "Saved searches"), ...saved.map((search) => example(search.name, fromSaved(search))));
  } catch (error) {
    $("facts").replaceChildren(h("span", { class: "problem-text" }, error.message));
  }
}

// Wiring --------------------------------------------------------------------------------------------------------------

function setUp() {
  $("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    const q = $("question").value.trim();
    if (!q) return $("question").focus();
    // Another question about the same: the filters stay. What was "like" is answered by articles, not by words.
    change({ q, like: [] });
    $("question").blur();
  });
  $("home").addEventListener("click", (event) => { event.preventDefault(); change(empty()); $("question").focus(); });
  $("modes").addEventListener("change", (event) => change({ mode: event.target.value }));
  $("map-button").addEventListener("click", () => change({ map: !state.map, page: state.page }));
  $("filters-open").addEventListener("click", () => { document.documentElement.classList.add("filtering"); $("filters-close").focus(); });
  $("filters-close").addEventListener("click", () => { document.documentElement.classList.remove("filtering"); $("filters-open").focus(); });
  $("export-button").addEventListener("click", () => selection.openExport(isAsking(state)));
  $("selection-export").addEventListener("click", () => selection.openExport(isAsking(state)));
  $("selection-clear").addEventListener("click", selection.clear);
  $("selection-similar").addEventListener("click", () => change({ ...empty(), like: selection.selectedPmids(), map: state.map }));
  selection.setUpExport(async (limit) => {
    if (!state.like.length) return { ...wanted(), limit };
    return { pmids: (await post("api/similar", { ...wanted(), limit })).map((hit) => hit.pmid) };
  });
  for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
  $("keys-button").addEventListener("click", () => $("keys").showModal());
  setUpSaving();
  setUpStrategy({ current: () => state.strategy, use: (strategy) => change({ strategy, like: [] }) });
  setUpTheme($("theme"));
  setUpKeys({ similar: (hit) => change({ ...empty(), like: [hit.pmid], map: state.map }) });
  addEventListener("popstate", () => show(read(location.search)));
  onTokenNeeded(askForToken);
}

function setUpSaving() {
  $("save-button").addEventListener("click", () => { $("save-problem").replaceChildren(); $("save").showModal(); });
  $("save-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await put(`api/saved/${encodeURIComponent($("save-name").value)}`, wanted());
      $("save").close();
    } catch (error) {
      $("save-problem").replaceChildren(error.message);
    }
  });
}

let asking = null;

/** Ask for a token once, whatever number of requests need it. */
function askForToken() {
  asking ??= new Promise((resolve) => {
    const dialog = $("token");
    const done = () => { asking = null; resolve(dialog.returnValue === "given" ? $("token-value").value.trim() : null); };
    dialog.returnValue = "";
    dialog.addEventListener("close", done, { once: true });
    $("token-form").onsubmit = (event) => { event.preventDefault(); dialog.close("given"); };
    dialog.showModal();
  });
  return asking;
}

setUp();
try {
  about = await get("api/about");
  $("export-count").max = about.limits.results;
  $("save-button").hidden = !about.write;
} catch (error) {
  tellProblem(error);
}
show(state);
showStart();
if (!isAsking(state)) $("question").focus({ preventScroll: true });
