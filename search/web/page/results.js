// The list of results: an article each, with what speaks for it, what must be known of it, and what can be done.

import { h } from "./dom.js";

const NOTICES = {
  RetractionIn: ["Retracted", "danger"],
  RetractedandRepublishedIn: ["Retracted and republished", "danger"],
  PartialRetractionIn: ["Partially retracted", "warning"],
  ExpressionOfConcernIn: ["Expression of concern", "warning"],
  CorrectedandRepublishedIn: ["Corrected and republished", "warning"],
  ErratumIn: ["Erratum", "plain"],
  UpdateIn: ["Updated", "plain"],
};

// What a reader weighs an article by; other types are in its details.
const TELLING_TYPES = [
  "Meta-Analysis", "Systematic Review", "Practice Guideline", "Guideline", "Randomized Controlled Trial",
  "Controlled Clinical Trial", "Clinical Trial", "Observational Study", "Review", "Case Reports", "Editorial", "Letter",
];

// A new line begins a section, and so do capitals with a colon after a sentence, where a source joined sections into one.
const SECTIONS = /\n|(?<=[.?!)\]])\s+(?=[A-Z][A-Z &/,-]{4,60}: )/;

/** Return the list item of a hit. `act` holds what its buttons do: similar(hit), select(hit, on), isSelected(pmid). */
export function resultItem(hit, act) {
  const id = `r${hit.pmid}`;
  const body = h("div", { class: "details", id: `${id}-details`, hidden: true });
  const toggle = h("button", {
    type: "button", class: "link", "aria-expanded": "false", "aria-controls": `${id}-details`,
    onclick: () => toggleDetails(item),
  }, "Abstract");
  const box = h("input", {
    type: "checkbox", checked: act.isSelected(hit.pmid), "aria-label": `Select ${hit.title || hit.pmid}`,
    onchange: (event) => act.select(hit, event.target.checked),
  });
  const item = h("li", { class: hit.retracted ? "result retracted" : "result", id, tabindex: "-1",
    "aria-labelledby": `${id}-title` },
    h("div", { class: "edge" }, h("label", { class: "tick" }, box), h("span", { class: "rank" }, hit.rank)),
    h("div", { class: "body" },
      badges(hit),
      h("h2", { id: `${id}-title` }, h("a", { href: hit.url, target: "_blank", rel: "noopener noreferrer" },
        hit.title || "(no title)")),
      h("p", { class: "source" }, source(hit)),
      h("p", { class: "snippet" }, shorten(hit.abstract)),
      h("div", { class: "actions" },
        hit.abstract || hit.mesh.length ? toggle : h("span", { class: "muted" }, "No abstract"),
        h("button", { type: "button", class: "link", onclick: () => act.similar(hit) }, "More like this"),
        hit.doi ? link(`https://doi.org/${encodeURI(hit.doi)}`, "DOI") : null,
        hit.pmcid ? link(`https://pmc.ncbi.nlm.nih.gov/articles/${encodeURIComponent(hit.pmcid)}/`, "Free full text") : null,
        score(hit)),
      duplicates(hit),
      body));
  item.hit = hit;
  return item;
}

/** Show the evidence of a hit in its item: the sentence in place of the abstract's beginning, and marked within it. */
export function showEvidence(item, evidence) {
  item.hit.evidence = evidence;
  if (!evidence?.length) return;
  const snippet = item.querySelector(".snippet");
  snippet.classList.add("evidence");
  const { role, text } = evidence[0];
  snippet.replaceChildren(h("span", { class: "role" }, `${role[0].toUpperCase()}${role.slice(1)}: `), h("q", {}, text));
  const details = item.querySelector(".details");
  if (!details.hidden) details.replaceChildren(...detailsOf(item.hit));
}

/** Open or close the abstract of an item. */
export function toggleDetails(item) {
  const details = item.querySelector(".details");
  const toggle = item.querySelector("[aria-expanded]");
  if (!toggle) return;
  details.hidden = !details.hidden;
  toggle.setAttribute("aria-expanded", String(!details.hidden));
  toggle.textContent = details.hidden ? "Abstract" : "Close";
  item.classList.toggle("open", !details.hidden);
  if (!details.hidden) details.replaceChildren(...detailsOf(item.hit));
}

function detailsOf(hit) {
  const sections = hit.abstract.split(SECTIONS).filter(Boolean).map((text) => {
    const label = /^([A-Z][^a-z:]{2,60}): /.exec(text);
    return h("p", {}, label ? h("strong", { class: "label" }, label[1]) : null,
      marked(label ? text.slice(label[0].length) : text, hit.evidence ?? []));
  });
  const facts = [
    ["Authors", hit.authors.join(", ")], ["Published", hit.date], ["Types", hit.publication_types.join(", ")],
    ["MeSH", hit.mesh.join(" · ")], ["PMID", String(hit.pmid)], ["DOI", hit.doi],
    ...hit.notices.map((notice) => [NOTICES[notice.kind]?.[0] ?? notice.kind,
      [notice.citation, notice.pmid && `PMID ${notice.pmid}`].filter(Boolean).join(" ")]),
  ].filter(([, value]) => value);
  return [...sections, h("dl", { class: "record" },
    facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))))];
}

/** Return the text with the evidence sentences in it marked. */
function marked(text, evidence) {
  const spans = evidence.map((part) => [text.indexOf(part.text), part.text.length]).filter(([start]) => start >= 0);
  spans.sort((one, other) => one[0] - other[0]);
  const parts = [];
  let end = 0;
  for (const [start, length] of spans) {
    if (start < end) continue;
    parts.push(text.slice(end, start), h("mark", {}, text.slice(start, start + length)));
    end = start + length;
  }
  return [...parts, text.slice(end)];
}

function badges(hit) {
  const found = [];
  const noticed = hit.notices.map((notice) => notice.kind);
  if (hit.retracted && !noticed.some((kind) => NOTICES[kind]?.[1] === "danger")) found.push(["Retracted", "danger"]);
  for (const kind of new Set(noticed)) found.push(NOTICES[kind] ?? [kind, "plain"]);
  if (hit.sample) found.push(["Not a real study", "plain"]);
  for (const type of TELLING_TYPES) {
    if (hit.publication_types.includes(type) && found.length < 4) found.push([type, "type"]);
  }
  return found.length ? h("p", { class: "badges" },
    found.map(([text, kind]) => h("span", { class: `badge ${kind}` }, text))) : null;
}

function source(hit) {
  const authors = hit.authors.length > 3 ? `${hit.authors[0]} et al.` : hit.authors.join(", ");
  const parts = [];
  if (authors) parts.push(h("span", {}, authors));
  if (hit.journal) parts.push(h("cite", {}, hit.journal));
  if (hit.year) parts.push(h("span", { class: "year" }, hit.year));
  return parts.flatMap((part, place) => (place ? [" · ", part] : [part]));
}

function score(hit) {
  // A question of filters alone has no words to be near to.
  if (!hit.score) return null;
  return h("span", { class: "score", title: "How near the article is to the question" },
    "score ", hit.score.toFixed(2));
}

function duplicates(hit) {
  if (!hit.duplicates?.length) return null;
  return h("p", { class: "muted small" }, `Also ${hit.duplicates.map((other) => `PMID ${other.pmid} (${other.reason})`).join(", ")}`);
}

function shorten(abstract) {
  const text = abstract.replaceAll("\n", " ");
  return text.length > 320 ? `${text.slice(0, 320).replace(/\s\S*$/, "")} …` : text;
}

function link(href, text) {
  return h("a", { href, target: "_blank", rel: "noopener noreferrer" }, text);
}
