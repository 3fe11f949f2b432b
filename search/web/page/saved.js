// Saved searches: keeping one under a name, what each found when, what is new, another name, and deleting.

import { get, patch, post, put, remove } from "./api.js";
import { $, h, number, plural } from "./dom.js";
import { fromSaved, write } from "./state.js";

/** A name that a saved search may have, from any text: "Aspirin and cancer?" becomes "Aspirin-and-cancer". */
export const nameFrom = (text) => text.normalize("NFKD").replace(/[^A-Za-z0-9._]+/g, "-").replace(/^[^A-Za-z0-9]+|-+$/g, "").slice(0, 100);

/** Make the dialog. `wanted()` is what is asked of the server, `saved(name)` is called when it is kept. */
export function setUpSaving(wanted, saved) {
  $("save-button").addEventListener("click", () => {
    $("save-problem").replaceChildren();
    $("save-replace").hidden = true;
    $("save-name").value ||= nameFrom(wanted().question).slice(0, 40).replace(/-[^-]*$/, (end, place) => (place > 24 ? "" : end));
    $("save").showModal();
    $("save-name").select();
  });
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
  $("save-replace").addEventListener("click", () => keep(true));
}

/** Show the saved searches with what can be done with them; `changed(searches)` is called when there are others. */
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
  const told = h("div", { role: "status" });
  const doing = (work) => async () => {
    try {
      await work();
    } catch (error) {
      told.replaceChildren(h("p", { class: "problem-text" }, error.message));
    }
  };
  const path = `api/saved/${encodeURIComponent(search.name)}`;
  const button = (text, work) => h("button", { type: "button", class: "link", onclick: doing(work) }, text);
  const actions = mayWrite ? [
    button("What is new", async () => {
      const hits = await post(`${path}/new`);
      told.replaceChildren(h("p", {}, hits.length ? `${plural(hits.length, "article")} since it last ran:` : "Nothing since it last ran."),
        h("ul", {}, hits.map((hit) => h("li", {}, h("a", { href: `article/${hit.pmid}` }, hit.title), hit.year ? ` (${hit.year})` : ""))));
    }),
    button("Rename", async () => {
      const name = nameFrom(prompt("A new name", search.name) ?? "");
      if (!name || name === search.name) return;
      await patch(path, { name });
      after(await get("api/saved"));
    }),
    button("Delete", async () => {
      if (confirm(`Delete “${search.name}” and the record of its ${plural(search.runs.length, "run")}?`)) after(await remove(path));
    }),
  ] : [];
  const runs = search.runs.map((run) => h("li", {}, `${run.time.slice(0, 16).replace("T", " ")}: ${number(run.new)} of ${number(run.passing)} that passed the filters, ${number(run.articles)} articles in the index`));
  return h("li", {}, h("a", { href: write(fromSaved(search)) }, h("b", {}, search.name)), h("p", { class: "small muted" }, search.question || search.filters?.strategy || ""),
    h("div", { class: "actions" }, actions, h("a", { href: `${path}/methods`, target: "_blank" }, "Methods text")),
    h("details", { class: "small" }, h("summary", {}, plural(search.runs.length, "run")), h("ul", {}, runs)), told);
}
