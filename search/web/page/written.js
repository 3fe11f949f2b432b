// An answer that a language model writes from the best articles, sentence by sentence, each checked against its sources.

import { address, events } from "./api.js";
import { h } from "./dom.js";

const ENDS = { complete: "", "nothing near enough": "No article is near enough to this question, so no model was asked." };

// The button that has an answer written, and where it is written. `asked` is what is asked; the model is that of `llm`.
export function writtenAnswer(asked, llm, signal) {
  const place = h("div", { class: "written", "aria-live": "polite" });
  const where = llm.sent_to ? `The question and the sources are sent to ${llm.sent_to}.` : "The model runs on the server's machine.";
  const button = h("button", { class: "quiet", onclick: () => write(asked, signal, place, button) }, `Write an answer with ${llm.model}`);
  return h("div", {}, button, h("p", { class: "note" }, `${where} Every sentence is checked against the abstracts it cites.`), place);
}

async function write(asked, signal, place, button) {
  button.disabled = true;
  const text = h("p"), list = h("ol", { class: "sources small" }), told = h("p", { class: "note" }, "Writing …");
  place.replaceChildren(text, told, list);
  let sources = [];
  try {
    for await (const { name, data } of events("api/ask?stream=true", asked, signal)) {
      if (name === "sources") sources = data.sources;
      else if (name === "sentence") text.append(...sentence(data, sources), " ");
      else if (name === "error") throw new Error(data.error.message);
      else told.replaceChildren(ending(data));
    }
    list.replaceChildren(...sources.map((source) => h("li", { value: source.number, class: source.retracted ? "retracted" : "" },
      h("a", { href: address(`article/${source.pmid}`) }, source.citation))));
  } catch (error) {
    if (error.name !== "AbortError") told.replaceChildren(h("span", { class: "problem-text" }, error.message));
  } finally {
    button.disabled = false;
  }
}

function sentence({ text, citations, problems, notices }, sources) {
  const cited = citations.map((number) => {
    const source = sources.find((other) => other.number === number);
    return source ? h("a", { href: address(`article/${source.pmid}`), title: source.citation }, `[${number}]`) : `[${number}]`;
  });
  const warnings = [...problems, ...notices];
  return [h("span", { class: problems.length ? "doubtful" : "", title: warnings.join("; ") }, text), " ", ...cited,
    warnings.length ? h("span", { class: "badge warning" }, warnings.join("; ")) : ""];
}

function ending({ status, dropped }) {
  const left = dropped ? `${dropped} ${dropped === 1 ? "sentence" : "sentences"} failed the check and ${dropped === 1 ? "is" : "are"} left out. ` : "";
  return `${left}${ENDS[status] ?? `The answer ended early: ${status}.`}`;
}
