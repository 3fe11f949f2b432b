// What is selected, across searches of this tab; collections, which last in this browser; and writing either as a file.

import { download } from "./api.js";
import { $, h, plural } from "./dom.js";

const KEY = "search-selected", COLLECTIONS = "search-collections";
const FORMATS = [
  ["ris", "RIS", "EndNote, Zotero, Rayyan, Covidence"], ["bibtex", "BibTeX", "LaTeX"],
  ["nbib", "MEDLINE", "as PubMed writes it"], ["csv", "CSV", "spreadsheets"],
  ["csl", "CSL JSON", "Zotero, Pandoc"], ["citation", "Citations", "one a line"],
  ["markdown", "Markdown", "a list to read"], ["jsonl", "JSON lines", "every field"],
];

const parsed = (text, otherwise) => {
  try {
    return JSON.parse(text) ?? otherwise;
  } catch {
    return otherwise;
  }
};
const selected = new Map(parsed(sessionStorage.getItem(KEY), []).map((hit) => [hit.pmid, hit]));

export const isSelected = (pmid) => selected.has(pmid);
export const selectedPmids = () => [...selected.keys()];
export const selectedTitles = () => new Map([...selected].map(([pmid, hit]) => [pmid, hit.title]));

export function select(hit, on) {
  if (on) selected.set(hit.pmid, { pmid: hit.pmid, title: hit.title });
  else selected.delete(hit.pmid);
  changed();
}

export function clear() {
  selected.clear();
  changed();
}

function changed() {
  sessionStorage.setItem(KEY, JSON.stringify([...selected.values()]));
  for (const box of document.querySelectorAll(".tick input")) box.checked = selected.has(Number(box.dataset.pmid));
  draw();
}

export function draw() {
  $("selection").hidden = !selected.size;
  $("selection-count").replaceChildren(`${plural(selected.size, "article")} selected`);
  document.documentElement.classList.toggle("selecting", selected.size > 0);
}

// Collections ---

// The collections of this browser: a name and PMIDs each.
export const collections = () => parsed(localStorage.getItem(COLLECTIONS), {});
export const collection = (name) => collections()[name] ?? [];

function write(all) {
  localStorage.setItem(COLLECTIONS, JSON.stringify(all));
}

export function addToCollection(name, pmids) {
  const all = collections();
  all[name] = [...new Set([...(all[name] ?? []), ...pmids])];
  write(all);
}

export function renameCollection(name, other) {
  const all = collections();
  all[other] = [...new Set([...(all[other] ?? []), ...(all[name] ?? [])])];
  delete all[name];
  write(all);
}

export function deleteCollection(name) {
  const all = collections();
  delete all[name];
  write(all);
}

// Make the dialog that keeps what is selected under a name. `kept(name, count)` is called when it is.
export function setUpKeeping(kept) {
  $("selection-keep").onclick = () => {
    $("keep-names").replaceChildren(...Object.keys(collections()).map((name) => h("option", { value: name })));
    $("keep").showModal();
  };
  $("keep-form").onsubmit = (event) => {
    event.preventDefault();
    const name = $("keep-name").value.trim();
    if (!name) return;
    addToCollection(name, selectedPmids());
    $("keep").close();
    kept(name, selected.size);
  };
}

// Files ---

// Make the dialog for files. `results(count)` gives what names the first results to the server.
export function setUpExport(results) {
  $("export-formats").append(...FORMATS.map(([value, name, use], place) => h("label", {},
    h("input", { type: "radio", name: "format", value, checked: place === 0 }), h("span", {}, h("b", {}, name), ` ${use}`))));
  $("export-form").onsubmit = async (event) => {
    event.preventDefault();
    const data = new FormData(event.target), format = data.get("format");
    $("export-problem").replaceChildren();
    try {
      const what = data.get("what") === "selected" ? { pmids: selectedPmids() } : await results($("export-count").valueAsNumber);
      await download("api/export", { format, ...what });
      $("export").close();
    } catch (error) {
      $("export-problem").replaceChildren(error.message);
    }
  };
}

export function openExport(hasResults) {
  const [fromSelection, fromResults] = $("export-what").querySelectorAll("input[type=radio]");
  fromSelection.disabled = !selected.size;
  fromResults.disabled = !hasResults;
  (selected.size ? fromSelection : fromResults).checked = true;
  $("export-selected").replaceChildren(selected.size ? `The ${plural(selected.size, "article")} selected` : "Those selected (none yet)");
  $("export-problem").replaceChildren();
  $("export").showModal();
}
