// Advanced: a strategy in PubMed's language, its lines counted, a builder for terms, and its use as what selects.

import { post } from "./api.js";
import { $, h, number } from "./dom.js";

const FIELDS = [
  ["tiab", "Title/Abstract"], ["ti", "Title"], ["mh", "MeSH Terms"], ["majr", "MeSH Major Topic"], ["tw", "Text Word"],
  ["au", "Author"], ["1au", "Author - First"], ["ad", "Affiliation"], ["ta", "Journal"], ["pt", "Publication Type"],
  ["la", "Language"], ["dp", "Date - Publication"], ["nm", "Supplementary Concept"], ["all", "All Fields"],
];

// Wire the dialog: `current` gives the strategy in use, `use` takes one (null for none).
export function setUpStrategy({ current, use }) {
  $("builder-field").replaceChildren(...FIELDS.map(([tag, name]) => h("option", { value: tag }, name)));
  $("advanced-button").onclick = () => {
    if (current()) $("strategy-text").value = current();
    $("strategy-answer").replaceChildren();
    $("advanced").showModal();
    $("strategy-text").focus();
  };
  $("builder-add").onclick = addTerm;
  $("builder-term").addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); addTerm(); }
  });
  $("strategy-count").onclick = () => count();
  $("advanced-form").onsubmit = async (event) => {
    event.preventDefault();
    const text = $("strategy-text").value.trim();
    if (text && !await count()) return;
    $("advanced").close();
    use(text || null);
  };
}

// Add the term of the builder to the end of the strategy.
function addTerm() {
  const term = $("builder-term").value.trim();
  if (!term) return $("builder-term").focus();
  const quoted = /\s/.test(term) && !/^["“]|^\d/.test(term) ? `"${term}"` : term;
  const before = $("strategy-text").value.trimEnd();
  $("strategy-text").value = `${before}${before ? ` ${$("builder-operator").value} ` : ""}${quoted}[${$("builder-field").value}]`;
  $("builder-term").value = "";
  $("builder-term").focus();
}

// Show the counts of the lines, the search details and the notes; return whether the strategy could be read.
async function count() {
  const answer = $("strategy-answer");
  answer.replaceChildren(h("p", { class: "muted" }, "Counting …"));
  try {
    const found = await post("api/strategy", { strategy: $("strategy-text").value, limit: 0 });
    const rows = found.lines.map((line) => h("tr", {},
      h("th", { scope: "row" }, `#${line.number}`), h("td", {}, line.text), h("td", { class: "number" }, number(line.count))));
    answer.replaceChildren(
      h("table", { class: "lines" }, h("caption", { class: "hidden" }, "Lines of the strategy"), h("tbody", {}, ...rows)),
      h("p", { class: "note" }, `Search details: ${found.translation}`),
      ...found.notes.map((note) => h("p", { class: "note" }, `Note: ${note}`)));
    return true;
  } catch (error) {
    answer.replaceChildren(h("pre", { class: "problem-text", role: "alert" }, error.message));
    return false;
  }
}
