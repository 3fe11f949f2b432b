// Saved searches: keeping one under a name, its runs and what sets them apart, what is new, its report and its feed.

import { address, get, patch, post, put, remove, saveFile, text as textOf } from "./api.js";
import { copy } from "./cite.js";
import { $, button, h, number, plural } from "./dom.js";
import { textsOf } from "./references.js";
import { badges, titleLink } from "./results.js";
import { empty, filters, fromSaved, write } from "./state.js";

const TITLED = 100;

// A name that a saved search may have, from any text: "Aspirin and cancer?" becomes "Aspirin-and-cancer".
export const nameFrom = (text) => text.normalize("NFKD").replace(/[^A-Za-z0-9._]+/g, "-").replace(/^[^A-Za-z0-9]+|-+$/g, "").slice(0, 100);

// Make the dialog. `wanted()` is what is asked of the server, `saved(name)` is called when it is kept.
export function setUpSaving(wanted, saved) {
  $("save-button").onclick = () => {
    $("save-problem").replaceChildren();
    $("save-replace").hidden = true;
    $("save-name").value ||= nameFrom(wanted().question).slice(0, 40).replace(/-[^-]*$/, (end, place) => (place > 24 ? "" : end));
    $("save").showModal();
    $("save-name").select();
  };
  const keep = async (replace) => {
    const name = nameFrom($("save-name").value);
    if (!name) return;
    try {
      await put(`api/saved/${encodeURIComponent(name)}`, { ...wanted(), replace });
      $("save").close();
      $("save-name").value = "";
      saved(name);
    } catch (error) {
      $("save-problem").replaceChildren(error.message.replace(/, or replace it \(--replace\)/, ", or replace it"));
      $("save-replace").hidden = !/is saved as/.test(error.message);
    }
  };
  $("save-form").addEventListener("submit", (event) => { event.preventDefault(); keep(false); });
  $("save-replace").onclick = () => keep(true);
}

// Show the saved searches with what can be done with them; `changed(searches)` is called when there are others.
export function manageSaved(searches, mayWrite, changed) {
  const list = $("manage-list");
  const draw = (left) => {
    list.replaceChildren(...left.map((search) => entry(search, mayWrite, after)));
    changed(left);
  };
  const after = (left) => (left.length ? draw(left) : ($("manage").close(), changed(left)));
  draw(searches);
  $("manage").showModal();
}

function entry(search, mayWrite, after) {
  const { name, runs } = search, path = `api/saved/${encodeURIComponent(name)}`;
  const told = h("div", { role: "status" });
  const doing = (work) => async (event) => {
    try {
      await work(event);
    } catch (error) {
      told.replaceChildren(h("p", { class: "problem-text" }, error.message));
    }
  };
  const act = (text, work) => button(text, doing(work));
  const list = h("ol", {}, runs.map((run, place) => h("li", {}, h("label", {}, runs.length > 1 ? h("input", { type: "checkbox", value: place + 1, onchange: doing(async () => {
    const chosen = [...list.querySelectorAll(":checked")].map((box) => box.value);
    told.replaceChildren(...(chosen.length === 2 ? await difference(path, ...chosen) : []));
  }) }) : "",
    ` ${run.time.slice(0, 16).replace("T", " ")}: ${number(run.new)} new of ${number(run.passing)} that passed the filters, ${number(run.articles)} articles in the index`))));
  return h("li", {}, h("a", { href: write(fromSaved(search)) }, h("b", {}, name)), h("p", { class: "small muted" }, search.question || search.filters?.strategy || ""),
    h("div", { class: "actions" }, mayWrite ? act("What is new", async () => {
      const hits = await post(`${path}/new`);
      told.replaceChildren(h("p", {}, hits.length ? `${plural(hits.length, "article")} since it last ran:` : "Nothing since it last ran."), h("ul", {}, hits.map(item)));
    }) : "",
    act("Report", async () => showReport(name, told, await textOf("GET", `${path}/report`), doing)),
    h("a", { href: `?snowball=${name}`, title: "What cites what it found, or is cited by it" }, "Snowball"), h("a", { href: address(`feeds/${name}.atom`), target: "_blank" }, "Feed"),
    mayWrite ? [act("Rename", async () => {
      const other = nameFrom(prompt("A new name", name) ?? "");
      if (!other || other === name) return;
      await patch(path, { name: other });
      after(await get("api/saved"));
    }), act("Delete", async () => {
      if (confirm(`Delete “${name}” and the record of its ${plural(runs.length, "run")}?`)) after(await remove(path));
    })] : ""),
    h("details", { class: "small" }, h("summary", {}, plural(runs.length, "run")), runs.length > 1 ? h("p", { class: "muted" }, "Tick two to see what sets them apart.") : "", list), told);
}

const item = (hit) => h("li", {}, hit.notices.length ? badges(hit) : "", titleLink(hit), hit.year ? ` (${hit.year})` : "");

// Show a report, with what can be done with it.
function showReport(name, place, text, doing) {
  const shown = h("pre", { class: "report", tabindex: "0" }, text);
  place.replaceChildren(shown, h("div", { class: "actions" }, button("Copy", ({ target }) => copy(shown, target)),
    button("Download", () => saveFile(new Blob([text]), `${name}.md`)),
    h("label", {}, "Count in references of other databases: ", h("input", { type: "file", multiple: true, onchange: doing(async ({ target }) => {
      const sources = await textsOf(target.files);
      showReport(name, place, await textOf("POST", `api/saved/${encodeURIComponent(name)}/report`, { sources }), doing);
    }) }))));
}

// What sets two runs apart: articles, ranks, and what they were run with.
async function difference(path, one, other) {
  const found = await get(`${path}/difference?first=${one}&second=${other}`);
  const lists = [[`Only in run ${one}`, found.only_first], [`Only in run ${other}`, found.only_second], ["Newly retracted", found.newly_retracted]].filter(([, pmids]) => pmids.length);
  const pmids = [...new Set(lists.flatMap(([, some]) => some))].slice(0, TITLED);
  const hits = pmids.length ? await post("api/search", { question: "", filters: filters(empty(), pmids), fold: false, limit: pmids.length }) : [];
  const shown = (pmid) => item(hits.find((hit) => hit.pmid === pmid) ?? { pmid, title: `PMID ${pmid}`, notices: [] });
  const parts = lists.flatMap(([text, some]) => [h("p", {}, `${text}: ${number(some.length)}`), h("ul", {}, some.map(shown))]);
  if (found.moved.length) parts.push(h("p", {}, `${plural(found.moved.length, "article")} at another rank`));
  for (const [what, values] of Object.entries(found.changed)) {
    parts.push(h("p", { class: "small" }, `${what}: ${values.map((value) => JSON.stringify(value).slice(0, 200)).join(" → ")}`));
  }
  return parts.length ? parts : ["Nothing sets these runs apart."];
}
