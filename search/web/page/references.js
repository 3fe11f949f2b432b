// Lists of references from elsewhere: what is wrong with each, and what is in them twice.

import { address, download, post } from "./api.js";
import { $, button, h, number, plural } from "./dom.js";

const GRAVITY = { retracted: "danger", concern: "danger", mismatch: "warning", duplicate: "warning", unreadable: "warning", "cites retracted work": "warning" };
const ORDER = [...Object.keys(GRAVITY), "corrected", "not in the index"];
const problem = (text) => h("p", { class: "problem-text", role: "alert" }, text);

export function setUpReferences() {
  $("references-button").onclick = () => $("references").showModal();
  for (const [name, work] of [["check", check], ["dedupe", dedupe]]) $(`references-${name}`).addEventListener("click", async () => {
    const show = (...parts) => $("references-answer").replaceChildren(...parts);
    show(h("p", { class: "muted" }, "Reading …"));
    try {
      const sources = await textsOf($("references-files").files, $("references-text").value);
      if (Object.keys(sources).length) show(...await work(sources));
      else show(problem("Choose a file, or paste references."));
    } catch (error) {
      show(problem(error.message));
    }
  });
}

// The texts of files by their names, in UTF-8 or UTF-16, and one that was pasted.
export async function textsOf(files, pasted = "") {
  const texts = pasted.trim() ? { pasted } : {};
  for (const file of files) {
    let name = file.name;
    for (let count = 2; name in texts; count += 1) name = `${file.name} (${count})`;
    const bytes = new Uint8Array(await file.arrayBuffer());
    texts[name] = new TextDecoder({ 255: "utf-16le", 254: "utf-16be" }[bytes[0]] ?? "utf-8").decode(bytes);
  }
  return texts;
}

const table = (caption, rows) => h("table", { class: "lines" }, h("caption", {}, caption),
  h("thead", {}, h("tr", {}, ["Reference", "Found"].map((name) => h("th", { scope: "col" }, name)))),
  h("tbody", {}, rows.map(([text, where, found]) => h("tr", {}, h("td", {}, text, h("div", { class: "small muted" }, where)), h("td", {}, found)))));

async function check(sources) {
  const parts = [];
  for (const [name, references] of Object.entries(sources)) {
    const { references: count, counts, checked } = await post("api/check", { name, references });
    const gravity = ({ findings }) => ORDER.indexOf(findings[0].problem);
    const found = checked.filter(({ findings }) => findings.length).sort((one, other) => gravity(one) - gravity(other));
    const told = Object.entries(counts).map(([what, times]) => `${number(times)} ${what}`).join(", ");
    const row = ({ where, reference, pmid, findings }) => [
      pmid ? h("a", { href: address(`article/${pmid}`), target: "_blank" }, reference) : reference, where.replace(`${name} `, ""),
      findings.map((finding) => h("div", {}, h("span", { class: `badge ${GRAVITY[finding.problem] ?? ""}` }, finding.problem), ` ${finding.told}`))];
    parts.push(table(`${name}: ${plural(count, "reference")}, ${told || "nothing to report"}`, found.map(row)));
  }
  return parts;
}

async function dedupe(sources) {
  const { identified, removed, kept, duplicates, versions, rejections } = await post("api/dedupe", { sources });
  const total = Object.values(identified).reduce((sum, count) => sum + count, 0);
  const pairs = (caption, is, some) => (some.length ? [table(caption, some.map(({ where, kept: other, reason, title }) => [title, where, `${is} ${other}: ${reason}`]))] : []);
  return [
    h("p", {}, `Identified ${number(total)}, duplicates removed ${number(duplicates.length)}, to screen ${number(kept.length)}. `,
      button("Download these as RIS", () => download("api/dedupe", { sources, format: "ris" }))),
    h("ul", {}, Object.entries(identified).map(([name, count]) => h("li", {}, `${name}: ${number(count)} identified, ${number(removed[name])} removed`))),
    ...pairs("Duplicates, which are left out", "is", duplicates), ...pairs("Preprints, kept beside what was published of them", "preprint of", versions),
    ...rejections.map(({ where, reason }) => problem(`${where}: ${reason}`)),
  ];
}
