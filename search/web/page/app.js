// The page: reads the address, asks the server, shows what it answers. Every change goes through the address.

import { Failure, address, download, get, onTokenNeeded, post } from "./api.js";
import { drawAnswers } from "./answers.js";
import { cite, setUpCiting } from "./cite.js";
import { $, button, h, number, plural } from "./dom.js";
import { drawChips, drawFacets, drawQuickFilters, snowballName, strategyName } from "./facets.js";
import * as history_ from "./history.js";
import { setUpKeys } from "./keys.js";
import { drawHits, drawPages, findEvidence, summary } from "./list.js";
import { drawMap } from "./map.js";
import { setUpReferences } from "./references.js";
import { setUpSaving } from "./saved.js";
import * as selection from "./selection.js";
import { showStart } from "./start.js";
import { PAGE_SIZE, empty, filters, followed, isAsking, read, write } from "./state.js";
import { outside } from "./results.js";
import { setUpStrategy } from "./strategy.js";
import { setUpSuggestions } from "./suggest.js";
import { setUpTheme } from "./theme.js";
import { askForToken } from "./token.js";
import { writtenAnswer } from "./written.js";
import { drawYears } from "./years.js";

const COUNTED = 1000, MAPPED = 300, OTHERS = 12, SIDE = "search-side";
const isWide = matchMedia("(min-width: 1181px)");

let state = read(location.search);
let running = new AbortController();
let counted = { question: null, counts: null };
let shown = { hits: [], offset: 0, total: null, isMore: false };
let about = { mode: "semantic", write: false, encoded: true, limits: { results: COUNTED } };
let isAboutHere = false;
const titles = selection.selectedTitles();

// Change a part of the state, note it in the address, and show it.
function change(part, { replace = false } = {}) {
  const next = { ...state, page: 1, ...part };
  const target = write(next) || location.pathname;
  // Another list is read from its beginning.
  const isOther = ["q", "kept", "snowball", "rounds", "strategy", "page", "sort"].some((name) => next[name] !== state[name]) || String(next.like) !== String(state.like);
  if (isOther) scrollTo({ top: 0, behavior: "instant" });
  if (replace || target === (location.search || location.pathname)) history.replaceState(null, "", target);
  else history.pushState(null, "", target);
  return show(next);
}

const similarTo = (pmids) => change({ ...empty(), like: pmids, side: state.side === "map" ? "map" : null });

// Follow citations from what is selected; what was the set before and what is listed now is left out.
function snowballFrom(pmids) {
  const before = state.snowball ? [followed(state).pmids ?? [], followed(state).seen, shown.hits.map((hit) => hit.pmid)].flat() : [];
  change({ ...empty(), snowball: pmids.join(), rounds: state.rounds, seen: [...new Set(before)].join() || null });
}

// What is asked of the server: a question, or articles of which more are wanted.
function wanted(from = state) {
  if (from.snowball) return followed(from);
  const kept = from.kept ? selection.collection(from.kept) : null;
  const base = { filters: filters(from, kept) };
  if (from.like.length) return { ...base, pmids: from.like };
  return { ...base, question: from.q, mode: mode(from), ...(from.exact ? { exact: true } : {}) };
}

function wantedHits() {
  const asked = { ...wanted(), limit: PAGE_SIZE, offset: (state.page - 1) * PAGE_SIZE };
  if (state.sort && !state.like.length) asked.sort = state.sort;
  return asked;
}

// Meaning and words together rank better than meaning alone; a config with `mode: lexical` is followed.
const mode = (from = state) => from.mode ?? (about.mode === "semantic" ? "hybrid" : about.mode);

// What the list is a list of: the same for every filter and page.
const questionOf = (from) => JSON.stringify([from.q, from.like, mode(from), from.strategy, from.kept, from.exact]);

// What stands at the side: what the address says, or what was chosen last.
function side() {
  if (state.side) return state.side;
  // A table needs the width; what is chosen beside it is shown there all the same.
  return isWide.matches && state.q && !state.like.length && !state.view && localStorage.getItem(SIDE) !== "none" ? "answers" : "none";
}

async function show(next) {
  state = next;
  // Asked once the server has said what it can do.
  if (!isAboutHere) return;
  running.abort();
  running = new AbortController();
  const { signal } = running;
  drawControls();
  if (!isAsking(state)) return showStart(about.write);
  document.body.setAttribute("aria-busy", "true");
  document.body.classList.add("waiting");
  for (const id of ["problem", "first-look"]) $(id).replaceChildren();
  shown = { hits: [], offset: 0, total: null, isMore: false };
  try {
    const later = await showHits(signal);
    const ranked = later();
    await Promise.all([ranked, beside("facets-note", showCounts(signal)), beside("side", showSide(signal, ranked))]);
  } catch (error) {
    if (error.name !== "AbortError") tellProblem(error);
  } finally {
    if (running.signal === signal) {
      document.body.removeAttribute("aria-busy");
      document.body.classList.remove("waiting");
    }
  }
}

// What stands beside the results may fail alone: it is told there, and the results stay.
async function beside(id, work) {
  try {
    await work;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (!$("problem").childElementCount) $(id).replaceChildren(h("p", { class: "problem-text" }, told(error)));
  }
}

// The question in a few words: of the tab, of the history, and above the list on a narrow screen.
function topicOf(from) {
  if (from.q) return from.q;
  if (from.like.length) return `Like: ${titles.get(from.like[0]) || `PMID ${from.like[0]}`}`;
  if (from.snowball) return snowballName(from, titles);
  if (from.kept) return `Collection: ${from.kept}`;
  return from.strategy ? strategyName(from.strategy) : "";
}

function drawControls() {
  const asking = isAsking(state);
  document.documentElement.dataset.view = asking ? "found" : "start";
  $("start").hidden = asking;
  $("found").hidden = !asking;
  $("question").value = state.q;
  const topic = topicOf(state);
  document.title = topic ? `${topic} – PubMed semantic search` : "PubMed semantic search";
  $("list-title").textContent = topic || "Results";
  for (const box of $("modes").querySelectorAll("input")) {
    box.checked = box.value === mode();
    box.disabled = state.like.length > 0 || !state.q;
  }
  const chosen = side();
  for (const name of ["map", "answers"]) $(`${name}-button`).setAttribute("aria-pressed", String(chosen === name));
  $("sort").value = state.sort ?? "relevance";
  $("sort").hidden = !state.q || state.like.length > 0;
  $("answers-button").hidden = !state.q || state.like.length > 0;
  $("table-button").setAttribute("aria-pressed", String(state.view === "table"));
  $("side").hidden = chosen === "none";
  $("found").classList.toggle("with-side", chosen !== "none");
  $("found").classList.toggle("with-table", state.view === "table");
  $("save-button").hidden = !about.write || state.like.length > 0 || state.kept !== null || Boolean(state.snowball);
  // What citations lead to is no search: nothing narrows it, and it has no map.
  for (const id of ["filters", "filters-open", "quick", "map-button", "modes"]) $(id).hidden = Boolean(state.snowball);
  $("rounds").hidden = !state.snowball;
  $("rounds").value = state.rounds ?? "1";
  drawQuickFilters(state, change);
  drawChips(state, titles, change);
  selection.draw();
}

// Results ---

const opened = () => new Set(history.state?.opened ?? []);

/**
 * Ask for the hits and draw them; return what follows, which need not be waited for: sentences, and before them the
 * ranked list, where articles had to be encoded for it and the list is a first look.
 */
async function showHits(signal) {
  const asked = wantedHits();
  if (state.snowball) return followCitations(signal);
  const path = state.like.length ? "api/similar" : "api/search";
  const isFirstLook = !about.encoded && state.q && !state.like.length && mode() !== "lexical";
  const [hits] = await Promise.all([post(path, isFirstLook ? { ...asked, encode_on_demand: 0 } : asked, signal), nameLikes(signal)]);
  let items = draw(hits, asked.offset);
  history_.note(state, topicOf(state));
  return async () => {
    if (isFirstLook && hits.length) {
      $("first-look").replaceChildren("A first look. Reading the best articles to rank them …");
      items = await rank(await post(path, asked, signal), items, asked.offset);
    }
    if (state.q && items.length) await findEvidence(asked, items, signal, mode());
  };
}

// Draw what citations lead to, and name the works that the index does not have.
async function followCitations(signal) {
  const offset = (state.page - 1) * PAGE_SIZE;
  const [found] = await Promise.all([post("api/snowball", { ...followed(state), limit: offset + PAGE_SIZE }, signal), nameLikes(signal)]);
  shown.total = found.found - found.others.length;
  draw(found.articles.slice(offset), offset);
  history_.note(state, topicOf(state));
  const links = found.others.slice(0, OTHERS).flatMap(({ work, links }, place) => [place ? ", " : "", outside(work), links > 1 ? ` (${links})` : ""]);
  const more = found.others.length > OTHERS ? ` and ${number(found.others.length - OTHERS)} more` : "";
  $("also").replaceChildren(...(links.length ? ["Not in this index: ", ...links, more] : []));
  return () => {};
}

// Draw the ranked list, unless someone reads the first one: they choose when.
function rank(hits, items, offset) {
  const isSame = items.every((item, place) => item.hit.pmid === hits[place]?.pmid);
  const isRead = scrollY > 60 || document.activeElement?.closest("#results") || document.querySelector(".result.open");
  if (isSame || !isRead) {
    $("first-look").replaceChildren();
    return draw(hits, offset);
  }
  return new Promise((resolve) => $("first-look").replaceChildren(h("button", { class: "primary", onclick: () => {
    $("first-look").replaceChildren();
    scrollTo({ top: 0, behavior: "instant" });
    resolve(draw(hits, offset));
  } }, "The ranked list is there: show it")));
}

function draw(hits, offset) {
  for (const hit of hits) titles.set(hit.pmid, hit.title);
  const items = drawHits(hits, { ...acts, table: state.like.length || state.snowball ? null : saveTable, isRanked: !state.sort, mode: state.q && !state.like.length ? mode() : state.like.length ? "semantic" : null },
    state.view, opened());
  // The list is there; sentences, counts and what stands at the side follow.
  document.body.classList.remove("waiting");
  shown = { ...shown, hits, offset };
  drawSummary();
  drawAlso(hits[0]?.also_searched ?? []);
  drawPages(hits.length, state.page, Math.floor(about.limits.results / PAGE_SIZE), (page) => {
    change({ page });
    $("results").focus({ preventScroll: true });
  });
  return items;
}

// Say what was searched for what was typed, and offer to search just that.
function drawAlso(changes) {
  $("also").replaceChildren(...(changes.length ? [`Also searched: ${changes.join(", ")}. `,
    button("Search only what was typed", () => change({ exact: "1" }))] : []));
}

function drawSummary() {
  const text = state.snowball && !shown.hits.length ? "The index knows of no other work that these cite or that cites them." : summary(shown.hits, shown.offset, shown.total, shown.isMore, Boolean(state.q || state.like.length));
  if ($("summary").textContent !== text) $("summary").replaceChildren(text);
}

// Articles that more are wanted like are known by their titles, after a reload too.
async function nameLikes(signal) {
  const from = state.like.length ? state.like : state.snowball ? followed(state).pmids ?? [] : [];
  const unknown = from.filter((pmid) => !titles.has(pmid)).slice(0, 10);
  if (!unknown.length) return;
  const found = await Promise.allSettled(unknown.map((pmid) => get(`api/articles/${pmid}`, signal)));
  for (const { value } of found) if (value) titles.set(value.pmid, value.title);
  drawControls();
}

const saveTable = () => download("api/table", { ...wantedHits(), format: "csv" }).catch((error) => say(told(error)));

const acts = {
  similar: (hit) => similarTo([hit.pmid]), cite, select: selection.select, isSelected: selection.isSelected,
};

// Counts and what stands at the side ---

async function showCounts(signal) {
  if (state.snowball) return;
  const depth = Math.min(COUNTED, about.limits.results);
  const question = questionOf(state);
  // Until the new counts are there, those of the same question stay, so that nothing jumps away from the pointer.
  drawFacets(question, counted.question === question ? counted.counts : null, state, change);
  const counts = await post("api/facets", { ...wanted(), depth, alternatives: true, relevant: true }, signal);
  counted = { question, counts };
  drawFacets(question, counts, state, change);
  drawYears($("years"), counts.years, state.from, state.to, (from, to) => change({ from, to }));
  const isMore = counts.articles >= depth;
  $("facets-note").replaceChildren(isMore ? `Counts are of the first ${number(depth)} results.` : state.q || state.like.length ? "Counts are of the relevant results." : "");
  shown = { ...shown, total: counts.articles, isMore };
  drawSummary();
}

async function showSide(signal, ranked) {
  const chosen = side();
  if (chosen === "none" || state.snowball) return $("side").replaceChildren();
  if (chosen === "answers" && (!state.q || state.like.length)) return $("side").replaceChildren();
  $("side").setAttribute("aria-label", chosen === "map" ? "Map of the results" : "What was found");
  $("side").replaceChildren(h("p", { class: "muted" }, chosen === "map" ? "Drawing the map …" : "Reading the best articles …"));
  // Where articles have to be encoded, the list comes before what stands beside it.
  if (!about.encoded) await ranked;
  if (chosen === "answers") {
    drawAnswers($("side"), await post("api/ask", wanted(), signal));
    if (about.llm) $("side").append(writtenAnswer(wanted(), about.llm, signal));
    return;
  }
  const map = await post("api/map", { ...wanted(), limit: Math.min(MAPPED, about.limits.results), relevant: true }, signal);
  drawMap($("side"), map, {
    similar: (point) => { titles.set(point.pmid, point.title); similarTo([point.pmid]); },
    show: async (point) => {
      const page = Math.ceil(point.rank / PAGE_SIZE);
      if (page !== state.page || state.view) change({ page, view: null });
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
  const again = error.status === 400 ? null : h("button", { class: "quiet", onclick: () => show(state) }, "Try again");
  // What follows the first line points at a place in the question.
  const [first, ...place] = told(error).split("\n");
  $("problem").replaceChildren(h("div", { class: "problem" },
    h("div", {}, h("p", {}, first), place.length ? h("pre", {}, place.join("\n")) : null), again));
  // What is still there would be taken for the answer to this question.
  for (const id of ["summary", "results", "table", "pages", "side", "years", "facets-note"]) $(id).replaceChildren();
}

// Wiring ---

// Turn what stands at the side on or off; that it is off is kept.
function turnSide(name) {
  const on = side() !== name;
  if (name === "answers") localStorage.setItem(SIDE, on ? name : "none");
  change({ side: on ? name : "none", page: state.page });
}

function say(...parts) {
  $("told").replaceChildren(...parts);
  $("told").hidden = false;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { $("told").hidden = true; }, 6000);
}

function setUp() {
  $("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    const q = $("question").value.trim();
    if (!q) return $("question").focus();
    // Another question about the same: the filters stay. What was "like" is answered by articles, not by words.
    change({ q, like: [], exact: null });
    $("question").blur();
  });
  const closeSuggestions = setUpSuggestions($("question"), (part) => {
    change(part.search ? read(part.search) : { ...empty(), ...part });
    $("question").blur();
  });
  $("ask").addEventListener("submit", closeSuggestions);
  // Links within the page are followed by it.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || link.target || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const target = new URL(link.href);
    if (target.origin + target.pathname !== address("./") || target.hash) return;
    event.preventDefault();
    document.querySelector("dialog[open]")?.close();
    change(read(target.search));
    if (!target.search) $("question").focus();
  });
  $("modes").onchange = (event) => change({ mode: event.target.value });
  $("sort").onchange = ({ target }) => change({ sort: target.value === "relevance" ? null : target.value });
  $("rounds").onchange = ({ target }) => change({ rounds: target.value === "1" ? null : target.value });
  $("map-button").onclick = () => turnSide("map");
  $("answers-button").onclick = () => turnSide("answers");
  $("table-button").onclick = () => change({ view: state.view ? null : "table", page: state.page });
  $("filters-open").onclick = () => { document.documentElement.classList.add("filtering"); $("filters-close").focus(); };
  $("filters-close").onclick = () => { document.documentElement.classList.remove("filtering"); $("filters-open").focus(); };
  // Which abstracts are open is kept with this place in the history of the tab.
  $("results").addEventListener("opened", () => {
    const pmids = [...document.querySelectorAll(".result.open")].map((item) => item.hit.pmid);
    history.replaceState({ opened: pmids }, "");
  });
  for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
  $("keys-button").onclick = () => $("keys").showModal();
  setUpSelection();
  setUpSaving(wanted, (name) => say("Saved as ", h("b", {}, name), ". It stands on the ", h("a", { href: "./" }, "start page"), "."));
  setUpStrategy({ current: () => state.strategy, use: (strategy) => change({ strategy, like: [] }) });
  setUpCiting();
  setUpReferences();
  setUpTheme($("theme"));
  setUpKeys({ similar: (hit) => similarTo([hit.pmid]) });
  addEventListener("popstate", () => show(read(location.search)));
  isWide.addEventListener("change", () => show(state));
  onTokenNeeded(askForToken);
}

function setUpSelection() {
  $("export-button").onclick = () => selection.openExport(isAsking(state));
  $("selection-export").onclick = () => selection.openExport(isAsking(state));
  $("selection-clear").onclick = selection.clear;
  $("selection-similar").onclick = () => similarTo(selection.selectedPmids());
  $("selection-snowball").onclick = () => snowballFrom(selection.selectedPmids());
  selection.setUpKeeping((name, count) => say(`${plural(count, "article")} kept in `, h("a", { href: write({ ...empty(), kept: name }) }, name),
    ", in this browser."));
  selection.setUpExport(async (limit) => {
    if (!state.like.length && !state.snowball) return { ...wanted(), limit };
    const hits = state.snowball ? (await post("api/snowball", { ...wanted(), limit })).articles : await post("api/similar", { ...wanted(), limit });
    return { pmids: hits.map((hit) => hit.pmid) };
  });
}

setUp();
try {
  about = await get("api/about");
  $("export-count").max = about.limits.results;
} catch (error) {
  tellProblem(error);
}
isAboutHere = true;
show(state);
if (!isAsking(state)) $("question").focus({ preventScroll: true });
