// The list of results: an article each, with what speaks for it, what must be known of it, and what can be done.

import { address } from "./api.js";
import { button, h, number } from "./dom.js";

const NOTICES = {
  RetractionIn: ["Retracted", "danger"],
  RetractedSince: ["Retracted since it was found", "danger"],
  RetractedandRepublishedIn: ["Retracted and republished", "danger"],
  PartialRetractionIn: ["Partially retracted", "warning"],
  ExpressionOfConcernIn: ["Expression of concern", "warning"],
  CorrectedandRepublishedIn: ["Corrected and republished", "warning"],
  CitesRetracted: ["Cites retracted work", "warning"],
  ErratumIn: ["Erratum", "plain"],
  UpdateIn: ["Updated", "plain"],
  RetractionOf: ["Retraction notice", "warning"],
  PartialRetractionOf: ["Retraction notice", "warning"],
  ExpressionOfConcernFor: ["Notice of concern", "warning"],
  ErratumFor: ["Erratum notice", "plain"],
};

// Articles that are notices, where nothing says of which article.
const NOTICE_TYPES = { "Retraction of Publication": "Retraction notice", "Retraction Notice": "Retraction notice",
  "Published Erratum": "Erratum notice", "Expression of Concern": "Notice of concern" };

// What a reader weighs an article by where no design is known; other types are in its details.
const TELLING_TYPES = ["Review", "Editorial", "Letter", "Comment", "Case Reports", "News"];

const SCORES = { semantic: "similarity", lexical: "words", hybrid: "meaning + words" };
const SCORE_HELP = { semantic: "Cosine similarity to the question: 1 is the same meaning, 0 is unrelated",
  lexical: "BM25: how much the article has of the words of the question",
  hybrid: "Cosine similarity, plus up to 0.4 for the words of the question" };

// A new line begins a section, and so do capitals with a colon after a sentence, where a source joined sections into one.
const SECTIONS = /\n|(?<=[.?!)\]])\s+(?=[A-Z][A-Z &/,-]{4,60}: )/;

// Return the list item of a hit. `act` holds similar(hit), cite(hit), select(hit, on), isSelected(pmid), mode.
export function resultItem(hit, act) {
  const id = `r${hit.pmid}`;
  const toggle = h("button", {
    class: "link", "aria-expanded": "false", "aria-controls": `${id}-details`,
    onclick: () => toggleDetails(item),
  }, "Abstract");
  const item = h("li", { class: hit.retracted ? "result retracted" : "result", id, tabindex: "-1",
    "aria-labelledby": `${id}-title` },
    h("div", { class: "edge" }, tick(hit, act), h("span", { class: "rank" }, hit.rank)),
    h("div", { class: "body" },
      badges(hit),
      h("h2", { id: `${id}-title` }, titleLink(hit)),
      h("p", { class: "source" }, source(hit)),
      h("p", { class: "snippet" }, hit.abstract.replaceAll("\n", " ").slice(0, 700)),
      h("div", { class: "actions" },
        hit.abstract || hit.mesh.length ? toggle : h("span", { class: "muted" }, "No abstract"),
        button("More like this", () => act.similar(hit)),
        h("button", { class: "link", "aria-haspopup": "dialog", onclick: () => act.cite(hit) }, "Cite"),
        links(hit), score(hit, act.mode)),
      duplicates(hit),
      h("div", { class: "details", id: `${id}-details`, hidden: true })));
  item.hit = hit;
  return item;
}

// The box that selects an article.
export function tick(hit, act) {
  return h("label", { class: "tick" }, h("input", {
    type: "checkbox", checked: act.isSelected(hit.pmid), "data-pmid": hit.pmid, "aria-label": `Select ${hit.title || hit.pmid}`,
    onchange: (event) => act.select(hit, event.target.checked),
  }));
}

// The title of an article, which leads to the page of its own.
export const titleLink = (hit) => h("a", { href: address(`article/${hit.pmid}`) }, hit.title || "(no title)");

// Where else an article is to be found.
export function links(hit) {
  return [
    link(hit.url, "PubMed"),
    hit.doi ? link(`https://doi.org/${encodeURI(hit.doi)}`, "DOI") : null,
    hit.pmcid ? link(`https://pmc.ncbi.nlm.nih.gov/articles/${encodeURIComponent(hit.pmcid)}/`, "Free full text") : null,
  ].filter(Boolean);
}

// A work that the index does not have: a PMID, a DOI or a PMCID.
export const outside = (work) => (Number(work) ? link(`https://pubmed.ncbi.nlm.nih.gov/${work}/`, `PMID ${work}`)
  : link(/^PMC/i.test(work) ? `https://pmc.ncbi.nlm.nih.gov/articles/${work}/` : `https://doi.org/${encodeURI(work)}`, work));

// Show the sentences that say what was found, and mark the words of the question where they ranked the article.
export function showEvidence(item, evidence, words = []) {
  item.hit = { ...item.hit, evidence, words };
  const snippet = item.querySelector(".snippet");
  if (evidence?.length) {
    const { text, role } = evidence[0];
    snippet.replaceChildren(h("span", { class: "role" }, `${sectionName(role)}: `), h("q", {}, emphasised(text, words)));
    snippet.classList.add("evidence");
  } else if (words.length) {
    snippet.replaceChildren(...emphasised(snippet.textContent, words));
  }
  if (words.length) item.querySelector("h2 a").replaceChildren(...emphasised(item.hit.title || "(no title)", words));
  if (item.classList.contains("open")) item.querySelector(".details").replaceChildren(...detailsOf(item.hit));
}

// "conclusions" as it is written before a sentence.
export const sectionName = (role) => `${role.slice(0, 1).toUpperCase()}${role.slice(1)}`;

// Open or close the abstract of an item.
export function toggleDetails(item, open = !item.classList.contains("open")) {
  const toggle = item.querySelector("button[aria-expanded]"), details = item.querySelector(".details");
  if (!toggle) return;
  details.hidden = !open;
  toggle.setAttribute("aria-expanded", String(open));
  toggle.textContent = open ? "Close" : "Abstract";
  item.classList.toggle("open", open);
  if (open) details.replaceChildren(...detailsOf(item.hit));
  item.dispatchEvent(new CustomEvent("opened", { bubbles: true }));
}

function detailsOf(hit) {
  const facts = [
    ["Authors", hit.authors.length ? authorLinks(hit.authors) : null], ["Published", hit.date], ["Types", hit.publication_types.join(", ")],
    ["MeSH", hit.mesh.join(" · ")], ["Registered", (hit.registry_numbers ?? []).join(", ")], ["PMID", String(hit.pmid)], ["DOI", hit.doi],
    ...noticeFacts(hit),
  ].filter(([, value]) => value && value.length);
  return [...abstractOf(hit), h("dl", { class: "record" },
    facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))))];
}

// The sections of an abstract, the evidence in them marked.
export function abstractOf(hit) {
  return hit.abstract.split(SECTIONS).filter(Boolean).map((text) => {
    const label = /^([A-Z][^a-z:]{2,60}): /.exec(text);
    return h("p", {}, label ? h("strong", { class: "label" }, label[1]) : null,
      marked(label ? text.slice(label[0].length) : text, hit.evidence ?? [], hit.words ?? []));
  });
}

// What kinds of notice there are about an article, and where they stand: [name, text, PMID].
export function noticeFacts(hit) {
  return hit.notices.map((notice) => [NOTICES[notice.kind]?.[0] ?? notice.kind,
    [notice.about === "another" ? "about " : "", notice.citation, notice.note && ` ${notice.note}`, notice.pmid && " PMID ", notice.pmid && h("a", { href: address(`article/${notice.pmid}`) }, notice.pmid)].filter(Boolean)]);
}

// Return the text with the evidence sentences in it marked, and the words of the question.
function marked(text, evidence, words) {
  const spans = evidence.map((part) => [text.indexOf(part.text), part.text.length]).filter(([start]) => start >= 0);
  spans.sort((one, other) => one[0] - other[0]);
  const parts = [];
  let end = 0;
  for (const [start, length] of spans) {
    if (start < end) continue;
    parts.push(...emphasised(text.slice(end, start), words), h("mark", {}, emphasised(text.slice(start, start + length), words)));
    end = start + length;
  }
  return [...parts, ...emphasised(text.slice(end), words)];
}

// Return the text with the words in it set off; the words are as they are indexed: "studi" for "study" and "studies".
export function emphasised(text, words) {
  if (!words.length) return [text];
  const stems = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/i$/, "(?:i|y)").replace(/e$/, "e?"));
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}])(?:${stems.join("|")})[\\p{L}\\p{N}]{0,6}`, "giu");
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    parts.push(text.slice(end, match.index), h("b", { class: "word" }, match[0]));
    end = match.index + match[0].length;
  }
  return [...parts, text.slice(end)].filter((part) => part !== "");
}

// What must be known of an article at a glance: notices, what kind of study it is, and of how many.
export function badges(hit) {
  const found = [];
  const noticed = hit.notices.map((notice) => notice.kind);
  if (hit.retracted && !noticed.some((kind) => NOTICES[kind]?.[1] === "danger")) found.push(["Retracted", "danger"]);
  for (const kind of new Set(noticed)) found.push(NOTICES[kind] ?? [kind, "plain"]);
  for (const type of hit.publication_types) {
    const name = NOTICE_TYPES[type];
    if (name && !found.some(([other]) => other === name)) found.push([name, "warning"]);
  }
  if (hit.sample) found.push(["Not a real study", "plain"]);
  const kind = hit.design ?? TELLING_TYPES.find((type) => hit.publication_types.includes(type));
  if (kind) found.push([sectionName(kind), "type"]);
  if (hit.sample_size) found.push([`n = ${number(hit.sample_size)}`, "plain"]);
  return found.length ? h("p", { class: "badges" },
    found.map(([text, style]) => h("span", { class: `badge ${style}` }, text))) : null;
}

// Who wrote an article, where and when.
export function source(hit) {
  const authors = hit.authors.length > 3 ? [...authorLinks(hit.authors.slice(0, 1)), " et al."] : authorLinks(hit.authors);
  const parts = [];
  if (authors.length) parts.push(h("span", {}, authors));
  if (hit.journal) parts.push(h("cite", {}, hit.journal));
  if (hit.year) parts.push(h("span", { class: "year" }, hit.year));
  parts.push(h("span", {}, `PMID ${hit.pmid}`));
  if (hit.cited_by) parts.push(`cited by ${number(hit.cited_by)}`);
  if (hit.links) parts.push(`linked to ${number(hit.links)} of the set`);
  return parts.flatMap((part, place) => (place ? [" · ", part] : [part]));
}

// Names, each a link to the articles of that author; a group has no initials.
export function authorLinks(names) {
  return names.flatMap((name, place) => {
    const field = /\s\p{Lu}{1,4}(?:\s(?:Jr|Sr|\d\w+))?$/u.test(name) ? "au" : "cn";
    const strategy = `"${name.replaceAll('"', "")}"[${field}]`;
    const link = h("a", { class: "author", href: address(`./?${new URLSearchParams({ strategy })}`), title: `Articles by ${name}` }, name);
    return place ? [", ", link] : [link];
  });
}

function score(hit, mode) {
  // A question of filters alone has no words to be near to.
  if (!hit.score || !mode) return null;
  return h("span", { class: "score", title: SCORE_HELP[mode] }, `${SCORES[mode]} ${hit.score.toFixed(2)}`);
}

function duplicates(hit) {
  if (!hit.duplicates?.length) return null;
  return h("p", { class: "muted small" }, `Also ${hit.duplicates.map((other) => `PMID ${other.pmid} (${other.reason})`).join(", ")}`);
}

function link(href, text) {
  return h("a", { href, target: "_blank", rel: "noopener noreferrer" }, text);
}
