// The results as a list or as a table of studies; their sentences follow, without moving what is read.

import { post } from "./api.js";
import { $, h, number } from "./dom.js";
import { badges, emphasised, resultItem, sectionName, showEvidence, source, tick, titleLink, toggleDetails } from "./results.js";
import { PAGE_SIZE } from "./state.js";

const EVIDENCE_AT_ONCE = 5;

// Show the hits of a page; `act` is what can be done with each, `view` "table" or null.
export function drawHits(hits, act, view, opened) {
  const items = hits.map((hit) => resultItem(hit, act));
  $("results").start = hits[0]?.rank ?? 1;
  $("results").replaceChildren(...items);
  // From here on the articles are probably not about the question.
  if (act.isRanked) items.find((item) => item.hit.near_enough === false)?.classList.add("far");
  $("results").hidden = view === "table";
  for (const item of items) if (opened.has(item.hit.pmid)) toggleDetails(item, true);
  drawTable(items, act, view);
  return items;
}

function drawTable(items, act, view) {
  $("table").hidden = view !== "table";
  if (view !== "table") return $("table").replaceChildren();
  const download = act.table && h("p", {}, h("button", { class: "link", id: "table-csv", onclick: act.table }, "Download these rows as CSV"));
  const heads = ["", "Design", "n", "Finding", "Year", "Article"].map((name) => h("th", { scope: "col" }, name || h("span", { class: "hidden" }, "Select")));
  $("table").replaceChildren(h("table", { class: "studies" }, h("caption", { class: "hidden" }, "The results as a table of studies"),
    h("thead", {}, h("tr", {}, heads)), h("tbody", {}, items.map((item) => row(item.hit, act)))), ...(download ? [download] : []));
}

function row(hit, act) {
  const design = hit.design ? sectionName(hit.design) : "";
  return h("tr", { id: `t${hit.pmid}`, class: hit.retracted ? "retracted" : "" }, h("td", {}, tick(hit, act)), h("td", {}, design),
    h("td", { class: "number" }, hit.sample_size ? number(hit.sample_size) : ""), h("td", { class: "finding" }),
    h("td", {}, hit.year ?? ""), h("td", {}, hit.retracted || hit.notices.length ? badges({ ...hit, design: null, sample_size: null }) : null,
      titleLink(hit), h("span", { class: "source" }, source({ ...hit, year: null }))));
}

// Find the sentences of the items, some at a time, so that the first are there soon.
export async function findEvidence(asked, items, signal, mode) {
  const byPmid = new Map(items.map((item) => [item.hit.pmid, item]));
  try {
    for (let start = 0; start < items.length; start += EVIDENCE_AT_ONCE) {
      const limit = Math.min(EVIDENCE_AT_ONCE, items.length - start);
      const part = { ...asked, offset: (asked.offset ?? 0) + start, limit, evidence: 1, explain: mode !== "semantic" };
      for (const hit of await post("api/search", part, signal)) show(byPmid.get(hit.pmid), hit);
    }
  } catch (error) {
    // The results are there; without the sentences they show how their abstracts begin.
    if (error.name === "AbortError") throw error;
  }
}

function show(item, hit) {
  if (!item) return;
  const words = hit.explain?.matched_words ?? [];
  showEvidence(item, hit.evidence, words);
  const cell = $(`t${hit.pmid}`)?.querySelector(".finding");
  if (cell && hit.evidence?.length) {
    cell.replaceChildren(h("span", { class: "role" }, `${sectionName(hit.evidence[0].role)}: `), ...emphasised(hit.evidence[0].text, words));
  }
}

/**
 * "Results 1 to 20 of 340"; `total` is null where it is not known (yet), `isMore` where there are more than that. Where
 * results are ranked, the total is of those that are relevant: others follow.
 */
export function summary(hits, offset, total = null, isMore = false, isRanked = false) {
  if (!hits.length) {
    return offset ? "There are no more results." : "Nothing passes these filters. Take one away, or ask in other words.";
  }
  if (isRanked && !offset && hits.every((hit) => hit.near_enough === false)) return "Nothing is near enough to the question. The nearest are:";
  if (hits.length === 1 && !offset) return "1 result";
  if (isRanked && total !== null) {
    return `Results ${number(offset + 1)} to ${number(offset + hits.length)}, ${isMore ? "more than " : ""}${number(total)} relevant`;
  }
  const of = total !== null && total >= offset + hits.length ? ` of ${isMore ? "more than " : ""}${number(total)}` : "";
  return `Results ${number(offset + 1)} to ${number(offset + hits.length)}${of}`;
}

// Draw the links to the pages before and after this one.
export function drawPages(count, current, most, turn) {
  const page = (text, target, on, name) => h("button", { class: "quiet", id: name, disabled: !on,
    onclick: () => turn(target) }, text);
  const more = count === PAGE_SIZE && current < most;
  $("pages").hidden = current === 1 && !more;
  $("pages").replaceChildren(page("← Previous", current - 1, current > 1, "previous"),
    h("span", { class: "muted" }, `Page ${current}`), page("Next →", current + 1, more, "next"));
}
