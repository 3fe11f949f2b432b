// What single keys do, wherever no text is being written and no dialog is open.

import { cite } from "./cite.js";
import { $ } from "./dom.js";
import { toggleDetails } from "./results.js";

const items = () => [...document.querySelectorAll("#results > .result")];
const current = () => document.activeElement?.closest?.("#results > .result") ?? null;

export function setUpKeys({ similar }) {
  const move = (step) => {
    const all = items();
    const place = all.indexOf(current());
    const next = place < 0 ? all[0] : all[Math.min(all.length - 1, Math.max(0, place + step))];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  };
  const actions = {
    "/": () => { $("question").focus(); $("question").select(); },
    "?": () => $("keys").showModal(),
    ArrowDown: () => move(1), j: () => move(1), ArrowUp: () => move(-1), k: () => move(-1),
    x: () => current()?.querySelector(".tick input").click(),
    s: () => current() && similar(current().hit),
    n: () => $("next")?.click(), p: () => $("previous")?.click(),
    c: () => current() && cite(current().hit),
    a: () => !$("found").hidden && $("answers-button").click(), t: () => !$("found").hidden && $("table-button").click(),
    m: () => !$("found").hidden && $("map-button").click(),
    e: () => !$("found").hidden && $("export-button").click(),
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const target = event.target;
    if (target.matches("input:not([type=checkbox], [type=radio]), select, textarea")) {
      // From the question straight into the results.
      if (target.id === "question" && event.key === "ArrowDown" && items().length) { event.preventDefault(); move(0); }
      if (event.key === "Escape") target.blur();
      return;
    }
    if (target.matches("input[type=radio]") && event.key.startsWith("Arrow")) return;
    if (event.key === "Enter") {
      // Enter on a link or a button is theirs.
      if (target.matches("#results > .result")) { event.preventDefault(); toggleDetails(target); }
      return;
    }
    if (event.key === "Escape") return document.documentElement.classList.remove("filtering");
    const action = actions[event.key];
    if (action) { event.preventDefault(); action(); }
  });
}
