// The page that is shown before anything is asked: examples, saved searches, collections, and the searches so far.

import { get } from "./api.js";
import { $, button, h, number, plural } from "./dom.js";
import { clearHistory, history } from "./history.js";
import { manageSaved } from "./saved.js";
import { collections, deleteCollection, renameCollection } from "./selection.js";
import { empty, fromSaved, write } from "./state.js";

const RECENT = 6;

// Fill the start. Links with a search part are followed by the page itself.
export async function showStart(mayWrite) {
  drawRecent(false);
  drawCollections();
  const [status, saved, examples] = await Promise.allSettled([get("api/status"), get("api/saved"), get("api/examples")]);
  if (examples.status === "fulfilled") {
    $("examples").replaceChildren(...examples.value.map((text) => example(text, { ...empty(), q: text })));
  }
  if (status.status === "fulfilled") drawFacts(status.value);
  else $("facts").replaceChildren(h("span", { class: "problem-text" }, status.reason.message));
  if (saved.status === "fulfilled") drawSaved(saved.value, mayWrite);
}

const example = (text, target) => h("a", { class: "example", href: write(target) }, text);

function drawFacts({ articles, vectors, model, created }) {
  const encoded = vectors < articles ? ` (${Math.floor((100 * vectors) / articles)} % encoded; the rest is encoded as it is found)` : "";
  $("facts").replaceChildren(`${plural(articles, "article")}${encoded} · index made on ${created.slice(0, 10)} · model ${model} · no question leaves this server`);
}

function drawSaved(searches, mayWrite) {
  const draw = (left) => drawSaved(left, mayWrite);
  $("saved").hidden = !searches.length;
  if (!searches.length) return;
  $("saved").replaceChildren(h("h2", {}, "Saved searches"), ...searches.map((search) => example(search.name, fromSaved(search))),
    h("button", { class: "link small", "aria-haspopup": "dialog", onclick: () => manageSaved(searches, mayWrite, draw) },
      mayWrite ? "New results, reports, runs, rename, delete …" : "Reports, runs …"));
}

function drawCollections() {
  const all = Object.entries(collections());
  $("collections").hidden = !all.length;
  if (!all.length) return;
  $("collections").replaceChildren(h("h2", {}, "Collections"), ...all.map(([name, pmids]) => h("span", { class: "example" },
    h("a", { href: write({ ...empty(), kept: name }) }, `${name} (${number(pmids.length)})`),
    h("button", { class: "link", "aria-label": `Rename ${name}`, onclick: () => {
      const other = prompt("A new name for the collection", name)?.trim();
      if (other && other !== name) { renameCollection(name, other); drawCollections(); }
    } }, "✎"),
    h("button", { class: "link", "aria-label": `Delete ${name}`, onclick: () => {
      if (confirm(`Delete the collection “${name}”? The articles themselves stay.`)) { deleteCollection(name); drawCollections(); }
    } }, "×"))));
}

// Draw the searches so far: the latest, or all of them.
export function drawRecent(all) {
  const entries = history();
  $("recent").hidden = !entries.length;
  if (!entries.length) return;
  const shown = all ? entries : entries.slice(0, RECENT);
  const time = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  $("recent").replaceChildren(h("h2", {}, "Your searches, kept in this browser"),
    h("ul", {}, shown.map((entry) => h("li", {}, h("a", { href: entry.search }, entry.label), " ",
      h("time", { class: "muted small", datetime: new Date(entry.time).toISOString() }, time.format(entry.time))))),
    h("p", { class: "small" }, entries.length > shown.length
      ? [button(`All ${entries.length}`, () => drawRecent(true)), " · "] : null,
    button("Clear", () => { clearHistory(); drawRecent(false); })));
}
