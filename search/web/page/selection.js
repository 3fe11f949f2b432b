// What was selected, across searches of this tab, and writing it or the results as a file.

import { download } from "./api.js";
import { $, h, plural } from "./dom.js";

const KEY = "search-selected";
const FORMATS = [
  ["ris", "RIS", "EndNote, Zotero, Rayyan, Covidence"], ["bibtex", "BibTeX", "LaTeX"],
  ["nbib", "MEDLINE", "as PubMed writes it"], ["csv", "CSV", "spreadsheets"],
  ["csl", "CSL JSON", "Zotero, Pandoc"], ["markdown", "Markdown", "a list to read"], ["jsonl", "JSON lines", "every field"],
];

const selected = new Map(JSON.parse(sessionStorage.getItem(KEY) ?? "[]").map((hit) => [hit.pmid, hit]));

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
  for (const box of document.querySelectorAll(".tick input")) box.checked = false;
  changed();
}

function changed() {
  sessionStorage.setItem(KEY, JSON.stringify([...selected.values()]));
  draw();
}

export function draw() {
  $("selection").hidden = !selected.size;
  $("selection-count").replaceChildren(`${plural(selected.size, "article")} selected`);
  document.documentElement.classList.toggle("selecting", selected.size > 0);
}

/** Make the dialog for files. `results(count)` gives what names the first results to the server. */
export function setUpExport(results) {
  $("export-formats").append(...FORMATS.map(([value, name, use], place) => h("label", {},
    h("input", { type: "radio", name: "format", value, checked: place === 0 }), h("span", {}, h("b", {}, name), ` ${use}`))));
  $("export-form").addEventListener("submit", async (event) => {
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
  });
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
