// Completing what is typed: headings and authors of the index, and earlier searches, below the question.

import { get } from "./api.js";
import { $, h, number } from "./dom.js";
import { history } from "./history.js";

const FEWEST = 3, WAIT = 150;
let timer = null, asked = null, chosen = -1;

// Offer completions of the question. Each is a link or a text; a text is put into the question and asked.
export function setUpSuggestions(input, ask) {
  const list = $("suggestions");
  const close = () => {
    clearTimeout(timer);
    asked?.abort();
    list.hidden = true;
    chosen = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const mark = (place) => {
    chosen = place;
    [...list.children].forEach((item, other) => item.setAttribute("aria-selected", String(other === place)));
    if (place >= 0) input.setAttribute("aria-activedescendant", list.children[place].id);
    else input.removeAttribute("aria-activedescendant");
  };
  const draw = (rows) => {
    list.replaceChildren(...rows.map(({ text, note, part }, place) => h("li", { role: "option", id: `suggestion-${place}`, "aria-selected": "false",
      // Before the question loses the focus, which closes the list.
      onpointerdown: (event) => { event.preventDefault(); close(); ask(part); } }, h("span", {}, text), h("span", { class: "muted small" }, note))));
    list.rows = rows;
    list.hidden = !rows.length;
    input.setAttribute("aria-expanded", String(rows.length > 0));
    mark(-1);
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    const typed = input.value.trim();
    if (typed.length < FEWEST) return close();
    timer = setTimeout(async () => {
      asked?.abort();
      asked = new AbortController();
      try {
        draw(await completions(typed, asked.signal));
      } catch {
        // Completions are a help: without them the question is asked as it is.
        list.hidden = true;
      }
    }, WAIT);
  });
  input.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    const count = list.children.length;
    if (event.key === "ArrowDown") mark((chosen + 2) % (count + 1) - 1);
    else if (event.key === "ArrowUp") mark((chosen + count + 1) % (count + 1) - 1);
    else if (event.key === "Enter" && chosen >= 0) { const { part } = list.rows[chosen]; close(); ask(part); }
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  input.addEventListener("blur", close);
  return close;
}

async function completions(typed, signal) {
  const of = (field, limit) => get(`api/suggest?${new URLSearchParams({ field, prefix: typed, limit })}`, signal);
  const [headings, authors] = await Promise.all([of("mesh", 5), of("author", 3)]);
  const seen = history().filter(({ label }) => label.toLowerCase().startsWith(typed.toLowerCase()) && label !== typed).slice(0, 3);
  return [
    ...seen.map(({ label, search }) => ({ text: label, note: "asked before", part: { search } })),
    ...headings.map(({ value, articles, entry_term: term }) => ({ text: term ? `${term} \u2192 ${value}` : value,
      note: `MeSH heading \u00b7 ${number(articles)}`, part: { q: value } })),
    ...authors.map(({ value, articles }) => ({ text: value, note: `author \u00b7 ${number(articles)}`, part: { strategy: `"${value}"[au]` } })),
  ];
}
