// Citing an article: its reference in a style, to be copied, or as a file for a reference manager.

import { download, text } from "./api.js";
import { $, h } from "./dom.js";

const STYLES = [["nlm", "NLM"], ["vancouver", "Vancouver"], ["ama", "AMA"], ["apa", "APA"]];
const FILES = [["ris", "RIS"], ["bibtex", "BibTeX"], ["nbib", "MEDLINE"], ["csl", "CSL JSON"]];
const KEY = "search-citation-style";

let pmid = null;

// Make the dialog, which the page holds as an empty <dialog id="cite">.
export function setUpCiting() {
  $("cite").replaceChildren(h("h2", { id: "cite-title" }, "Cite"),
    h("fieldset", { class: "modes small" }, h("legend", { class: "hidden" }, "Style"), STYLES.map(([value, name]) => h("label", {},
      h("input", { type: "radio", name: "citation-style", value, checked: value === (localStorage.getItem(KEY) ?? "nlm"), onchange: () => show(value) }),
      h("span", {}, name)))),
    h("p", { id: "citation", class: "citation", tabindex: "0", "aria-live": "polite" }),
    h("p", { class: "small muted" }, "As a file: ", FILES.flatMap(([format, name], place) => [place ? " · " : "",
      h("button", { class: "link", onclick: () => download("api/export", { pmids: [pmid], format }) }, name)])),
    h("div", { class: "buttons" }, h("button", { class: "quiet", onclick: () => $("cite").close() }, "Close"),
      h("button", { class: "primary", id: "copy-citation", onclick: ({ target }) => copy($("citation"), target) }, "Copy")));
}

export function cite(hit) {
  pmid = hit.pmid;
  $("cite").showModal();
  show(localStorage.getItem(KEY) ?? "nlm");
}

async function show(style) {
  localStorage.setItem(KEY, style);
  $("copy-citation").textContent = "Copy";
  $("citation").replaceChildren("…");
  try {
    $("citation").replaceChildren((await text("POST", "api/export", { pmids: [pmid], format: "citation", style })).trim());
  } catch (error) {
    $("citation").replaceChildren(h("span", { class: "problem-text" }, error.message));
  }
}

// Copy the text of an element; the button says so.
export async function copy(element, button) {
  try {
    await navigator.clipboard.writeText(element.textContent);
  } catch {
    // Where the clipboard is not to be had (HTTP from another machine), the old way.
    getSelection().selectAllChildren(element);
    document.execCommand("copy");
  }
  button.textContent = "Copied";
}
