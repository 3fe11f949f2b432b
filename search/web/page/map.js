// The map: every dot an article, near each other where their meaning is; topics are groups of dots and what sets them apart.

import { button, h, plural, svg } from "./dom.js";

const SIZE = 400, EDGE = 18, LINE = 14;

let colouring = "topic";

// Draw a map into `place`. `act.show(point)` is called with the article whose dot was chosen.
export function drawMap(place, map, act) {
  const scale = (value) => EDGE + value * (SIZE - 2 * EDGE);
  const years = map.points.map((point) => point.year).filter(Boolean);
  const [first, last] = [Math.min(...years), Math.max(...years)];
  const told = h("div", { class: "map-told", role: "status" }, h("p", { class: "muted small" }, "Choose a dot to see its article."));
  const chart = svg("svg", { class: "dots", viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img",
    "aria-label": `A map of ${plural(map.points.length, "article")} in ${plural(map.topics.length, "topic")}: ${map.topics.map((topic) => topic.label).join("; ")}` });
  const dots = map.points.map((point) => {
    const dot = svg("circle", { cx: scale(point.x), cy: scale(point.y), r: point.rank <= 20 ? 5.2 : 3.6,
      class: `dot topic-${point.topic % 8}${point.retracted ? " struck" : ""}`, "data-pmid": point.pmid });
    if (point.year) dot.style.setProperty("--age", last > first ? (point.year - first) / (last - first) : 1);
    dot.append(svg("title", {}, `${point.title}${point.year ? ` (${point.year})` : ""}`));
    dot.addEventListener("click", () => choose(point, dot));
    return dot;
  });
  const choose = (point, dot) => {
    for (const other of dots) other.classList.toggle("chosen", other === dot);
    told.replaceChildren(h("p", { class: "map-title" }, point.title || "(no title)"),
      h("p", { class: "muted small" }, [point.journal, point.year].filter(Boolean).join(" · ")),
      h("div", { class: "actions" },
        point.rank ? button(`Result ${point.rank}`, () => act.show(point)) : null,
        button("More like this", () => act.similar(point)),
        h("a", { href: point.url, target: "_blank", rel: "noopener noreferrer" }, "PubMed")));
  };
  // The best results are drawn last, on top.
  chart.append(...dots.toReversed());
  const placed = [];
  for (const [number, topic] of map.topics.entries()) {
    const { x, y } = freePlace(topic.label, scale(topic.x), scale(topic.y), placed);
    chart.append(svg("text", { class: "topic-label", x, y, "data-topic": number }, topic.label));
  }
  const legend = h("ul", { class: "legend" }, map.topics.map((topic, number) => h("li", {}, legendButton(topic, number, chart, dots, map))));
  const colours = h("div", { class: "bar" }, h("h2", {}, "Map"), h("span", { class: "grow" }),
    h("fieldset", { class: "modes small" }, h("legend", { class: "hidden" }, "Colour by"), ["topic", "year"].map((value) =>
      h("label", {}, h("input", { type: "radio", name: "colouring", value, checked: value === colouring,
        onchange: () => paint(value) }), h("span", {}, value === "topic" ? "Topic" : "Year")))));
  const scaleOfYears = h("p", { class: "scale small muted" }, h("span", {}, first), h("span", { class: "ramp" }), h("span", {}, last));
  const paint = (value) => {
    colouring = value;
    chart.classList.toggle("by-year", value === "year");
    scaleOfYears.hidden = value !== "year" || !years.length;
  };
  paint(colouring);
  place.replaceChildren(colours, chart, scaleOfYears, told, legend,
    h("p", { class: "note" }, `The nearest ${plural(map.points.length, "article")}. What is close together means much the same; the directions mean nothing.`));
}

// Return where a label can stand: at its place, or as little above or below it as keeps it off those that are there.
function freePlace(label, x, y, placed) {
  const half = Math.min(SIZE / 2, label.length * 3.4 + 4);
  const own = { x: Math.min(SIZE - half, Math.max(half, x)), half };
  const isFree = (at) => at >= LINE && at <= SIZE - 4
    && placed.every((other) => Math.abs(other.y - at) >= LINE || Math.abs(other.x - own.x) >= other.half + half);
  const wanted = Math.max(LINE, y);
  const found = [0, 1, -1, 2, -2, 3, -3].map((step) => wanted + step * LINE).find(isFree) ?? wanted;
  placed.push({ ...own, y: found });
  return { x: own.x, y: found };
}

function legendButton(topic, number, chart, dots, map) {
  const button = h("button", { class: "topic", "aria-pressed": "false", onclick: () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    for (const other of button.closest("ul").querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-pressed", String(on));
    chart.classList.toggle("focused", on);
    dots.forEach((dot, place) => dot.classList.toggle("in", on && map.points[place].topic === number));
    for (const label of chart.querySelectorAll(".topic-label")) label.classList.toggle("in", on && Number(label.dataset.topic) === number);
  } }, h("span", { class: `key topic-${number % 8}`, "aria-hidden": "true" }),
    h("span", {}, h("b", {}, topic.label), topic.terms.length ? h("span", { class: "muted" }, ` ${topic.terms.join(", ")}`) : null),
    h("span", { class: "count" }, topic.articles));
  return button;
}
