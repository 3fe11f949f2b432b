// The page of one article: its abstract by sections, its notices, where else it is, and what is like it.

import { Failure, address, get, onTokenNeeded, post } from "./api.js";
import { cite, setUpCiting } from "./cite.js";
import { $, button, h, number, plural } from "./dom.js";
import { authorLinks, badges, links, noticeFacts, source, titleLink } from "./results.js";
import * as selection from "./selection.js";
import { setUpTheme } from "./theme.js";
import { askForToken } from "./token.js";

const SIMILAR = 10, AUTHORS = 12, CITED = 50;
const pmid = Number(/\/article\/(\d+)/.exec(location.pathname)?.[1]);

async function show() {
  const [article, [hit]] = await Promise.all([get(`api/articles/${pmid}`), post("api/search", { question: String(pmid), filters: { pmids: [pmid] }, fold: false })]);
  document.title = `${article.title} – PubMed semantic search`;
  const box = h("input", { type: "checkbox", checked: selection.isSelected(pmid), onchange: (event) => selection.select(hit, event.target.checked) });
  const home = address("./");
  $("article").classList.toggle("retracted", hit.retracted);
  $("article").replaceChildren(
    badges(hit) ?? "",
    h("h1", {}, article.title || "(no title)"),
    article.vernacular_title ? h("p", { class: "muted" }, article.vernacular_title) : "",
    authors(article), h("p", { class: "source" }, source({ ...hit, authors: [], year: null, journal: hit.journal }), hit.date ? ` · ${hit.date}` : ""),
    ...notices(hit),
    h("div", { class: "actions" }, h("label", { class: "tick" }, box, " Select"),
      h("button", { class: "link", "aria-haspopup": "dialog", onclick: () => cite(hit) }, "Cite"),
      h("a", { href: `${home}?like=${pmid}` }, "More like this"), links(hit)),
    h("section", { "aria-labelledby": "abstract-title" }, h("h2", { id: "abstract-title" }, "Abstract"), ...sections(article.abstract)),
    ...(article.other_abstracts ?? []).map((other) => h("details", {},
      h("summary", {}, `Abstract: ${(other.type ?? other.language ?? "another").replaceAll("-", " ")}`), ...sections(other.sections))),
    record(article, hit));
}

function authors({ authors: all = [], authors_complete: complete = true }) {
  const names = all.map((author) => author.collective_name ?? [author.last_name ?? author.fore_name, author.initials, author.suffix].filter(Boolean).join(" "));
  if (!names.length) return "";
  const affiliations = [...new Set(all.flatMap((author) => author.affiliations ?? []))];
  const rest = names.length > AUTHORS ? button(` and ${names.length - AUTHORS} more`, (event) => {
    event.target.replaceWith(", ", ...authorLinks(names.slice(AUTHORS)));
  }) : "";
  return h("div", { class: "authors" }, h("p", {}, authorLinks(names.slice(0, AUTHORS)), rest, complete ? "" : ", et al."),
    affiliations.length ? h("details", { class: "small" }, h("summary", {}, "Affiliations"), h("ul", {}, affiliations.map((name) => h("li", {}, name)))) : null);
}

function notices(hit) {
  return noticeFacts(hit).map(([name, where]) => h("p", { class: "notice" }, h("b", {}, `${name}: `), where));
}

function sections(parts) {
  if (!parts?.length) return [h("p", { class: "muted" }, "The record has no abstract.")];
  return parts.map((part) => h("div", {}, part.label ? h("h3", { class: "label" }, part.label) : null,
    part.text.split("\n").map((text) => h("p", {}, text))));
}

function record(article, hit) {
  const search = (name, value) => h("a", { href: `${address("./")}?${new URLSearchParams({ strategy: `"${value}"[${name}]` })}` }, value);
  const joined = (values, join = " · ") => values.flatMap((value, place) => (place ? [join, value] : [value]));
  const headings = (article.mesh_headings ?? []).map((heading) => h("span", {}, search("mh", heading.descriptor),
    (heading.qualifiers ?? []).map((part) => ` / ${part.name}${part.major ? "*" : ""}`), heading.major ? "*" : ""));
  const facts = [
    ["Types", joined(hit.publication_types.map((type) => search("pt", type)))],
    ["MeSH", joined(headings)], ["Keywords", (article.keywords ?? []).map((word) => word.text).join(" · ")],
    ["Substances", (article.substances ?? []).map((part) => part.name).join(" · ")],
    ["Registered", (hit.registry_numbers ?? []).join(", ")],
    ["Grants", (article.grants ?? []).map((grant) => [grant.number, grant.agency].filter(Boolean).join(" ")).join("; ")],
    ["Interests", article.coi_statement], ["Language", (article.languages ?? []).join(", ")],
    ["DOI", hit.doi], ["PMCID", hit.pmcid], ["PMID", String(pmid)], ["Copyright", article.copyright],
  ].filter(([, value]) => value?.length);
  return h("dl", { class: "record" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

// Show what the article cites and what cites it, as far as the index knows.
async function showCitations() {
  const parts = await Promise.all([["cited-by", "Cited by"], ["references", "References"]].map(async ([path, title]) => {
    const found = await get(`api/articles/${pmid}/${path}?limit=${CITED}`);
    if (!found.count) return "";
    const others = found.count - found.in_index;
    return h("details", { open: path === "cited-by" }, h("summary", {}, h("h2", {}, `${title} ${number(found.count)}`)),
      h("ol", { class: "similar" }, found.articles.map(entry)),
      others ? h("p", { class: "note" }, `${plural(others, "work")} ${others === 1 ? "is" : "are"} not in this index.`) : null);
  }));
  $("citations").replaceChildren(h("p", {}, h("a", { href: `${address("./")}?snowball=${pmid}` }, "Snowball: all that it cites or that cites it")), ...parts);
  $("citations").hidden = parts.every((part) => part === "");
}

const entry = (hit) => h("li", {}, badges(hit) ?? "", h("p", { class: "map-title" }, titleLink(hit)), h("p", { class: "source" }, source(hit)));

async function showSimilar() {
  const hits = await post("api/similar", { pmids: [pmid], limit: SIMILAR });
  $("similar").replaceChildren(h("h2", {}, "Similar articles"), h("ol", { class: "similar" }, hits.map(entry)));
}

function setUp() {
  setUpTheme($("theme"));
  setUpCiting();
  onTokenNeeded(askForToken);
  $("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    const q = $("question").value.trim();
    if (q) location.assign(`${address("./")}?${new URLSearchParams({ q })}`);
  });
}

setUp();
try {
  await show();
  await Promise.all([showSimilar(), showCitations()]);
} catch (error) {
  const text = error instanceof Failure ? error.message : `Something went wrong in this page: ${error.message}`;
  $("problem").replaceChildren(h("div", { class: "problem" }, h("p", {}, `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`)));
}
