// What was found about the question: quotations of the best articles, those that agree together, the nearest and firmest first.

import { address } from "./api.js";
import { h, number, plural } from "./dom.js";
import { sectionName } from "./results.js";

const SHOWN = 6;

// Draw findings (`/api/ask`) into `place`.
export function drawAnswers(place, findings) {
  const groups = findings.groups.map((group, number) => groupOf(group, number >= SHOWN));
  const more = groups.length > SHOWN ? h("button", { class: "link small", onclick: (event) => {
    for (const group of groups) group.hidden = false;
    event.target.remove();
  } }, `${groups.length - SHOWN} more`) : null;
  place.replaceChildren(h("h2", {}, "What was found"), ...(groups.length
    ? [h("ol", { class: "findings" }, groups), more, h("p", { class: "note" },
      "Every sentence is quoted from an abstract. Findings that agree are together, the nearest and those of firmer designs first.")].filter(Boolean)
    : [h("p", { class: "muted" }, "No article says anything near enough to this question. Ask in other words, or look through the list.")]));
}

function groupOf(group, hidden) {
  const [first, ...others] = group;
  return h("li", { class: "finding", hidden }, h("blockquote", {}, h("span", { class: "role" }, `${first.section}: `), first.text),
    sourceOf(first), others.length ? h("details", {}, h("summary", {}, `${plural(others.length, "article")} found much the same`),
      others.map((finding) => h("div", {}, h("blockquote", { class: "small" }, h("span", { class: "role" }, `${finding.section}: `), finding.text), sourceOf(finding)))) : null);
}

function sourceOf(finding) {
  const kind = [finding.design && sectionName(finding.design), finding.sample_size && `n = ${number(finding.sample_size)}`, finding.year]
    .filter(Boolean).join(", ");
  return h("p", { class: "cited small" },
    finding.warnings.map((warning) => h("span", { class: `badge ${finding.retracted ? "danger" : "warning"}` }, sectionName(warning))),
    kind ? h("span", { class: "kind" }, `${kind}. `) : null,
    h("a", { href: address(`article/${finding.pmid}`) }, short(finding.citation)));
}

// "Smith J, et al. Lancet. 2010": who and where; the whole citation is on the article's page.
function short(citation) {
  const text = citation.replace(/^\[[^\]]*\] /, "").replace(/\s*https?:\S+$/, "");
  return text.length > 150 ? `${text.slice(0, 150).replace(/\s\S*$/, "")} …` : text;
}
