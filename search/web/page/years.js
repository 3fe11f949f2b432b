// The histogram of years: drag over it to keep some of them; the two fields below do the same from a keyboard.

import { button, h, number, svg } from "./dom.js";

const HEIGHT = 72;

// Draw the counts into `place`. `change(from, to)` is called with years, or with nulls for no limit.
export function drawYears(place, counts, from, to, change) {
  const years = Object.keys(counts).map(Number).sort((one, other) => one - other);
  if (!years.length) {
    place.replaceChildren(h("p", { class: "muted small" }, "No years are known."), fields(from, to, change));
    return;
  }
  const first = Math.min(years[0], years.at(-1) - 9), last = years.at(-1);
  const count = last - first + 1, most = Math.max(...Object.values(counts));
  const chart = svg("svg", { class: "years", viewBox: `0 0 ${count} ${HEIGHT}`, preserveAspectRatio: "none",
    role: "img", "aria-label": `Articles by year, ${first} to ${last}; most in ${years.find((year) => counts[year] === most)}` });
  const band = svg("rect", { class: "band", y: 0, height: HEIGHT });
  chart.append(band);
  const bars = years.map((year) => {
    const tall = Math.max(2, (counts[year] / most) * (HEIGHT - 4));
    const bar = svg("rect", { class: "bar", x: year - first + 0.1, width: 0.8, y: HEIGHT - tall, height: tall, "data-year": year });
    chart.append(bar);
    return bar;
  });
  const told = h("p", { class: "years-told small muted", "aria-hidden": "true" });
  const show = (low, high) => {
    const limited = low !== null || high !== null;
    const start = Math.max(first, low ?? first), end = Math.min(last, high ?? last);
    band.setAttribute("x", start - first);
    band.setAttribute("width", limited ? Math.max(0, end - start + 1) : 0);
    for (const bar of bars) {
      const year = Number(bar.dataset.year);
      bar.classList.toggle("out", limited && (year < start || year > end));
    }
  };
  const tell = (text) => told.replaceChildren(text);
  const rest = () => tell(from !== null || to !== null ? `${from ?? "up"} to ${to ?? "now"}` : `${first} to ${last}`);
  follow(chart, first, last, { from, to, show, change, rest,
    hover: (year) => tell(`${year}: ${number(counts[year] ?? 0)}`),
    drag: (low, high) => tell(low === high ? `${low}` : `${low} to ${high}`) });
  show(from, to);
  rest();
  place.replaceChildren(chart, told, fields(from, to, change));
}

// Follow the pointer: from where it goes down to where it goes up, or one edge of the range that is there.
function follow(chart, first, last, { from, to, show, change, rest, hover, drag }) {
  let anchor = null, other = null;
  const yearAt = (event) => {
    const box = chart.getBoundingClientRect();
    const place = Math.floor(((event.clientX - box.left) / box.width) * (last - first + 1));
    return Math.min(last, Math.max(first, first + place));
  };
  const range = () => [Math.min(anchor, other), Math.max(anchor, other)];
  chart.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    const year = yearAt(event);
    anchor = other = year;
    if (from !== null && to !== null && from !== to) {
      // Close to an edge, that edge moves and the other one stays.
      const slack = Math.max(1, (last - first) / 40);
      if (Math.abs(year - from) <= slack) anchor = to;
      else if (Math.abs(year - to) <= slack) anchor = from;
    }
    chart.setPointerCapture(event.pointerId);
    show(...range());
    event.preventDefault();
  });
  chart.addEventListener("pointermove", (event) => {
    if (anchor === null) return hover(yearAt(event));
    other = yearAt(event);
    show(...range());
    drag(...range());
  });
  chart.addEventListener("pointerup", () => {
    if (anchor === null) return;
    const chosen = range();
    anchor = null;
    change(...chosen);
  });
  for (const name of ["pointercancel", "lostpointercapture"]) chart.addEventListener(name, () => {
    if (anchor !== null) show(from, to);
    anchor = null;
  });
  chart.addEventListener("pointerleave", () => anchor === null && rest());
}

function fields(from, to, change) {
  const make = (label, value) => h("input", { type: "number", min: 1, max: 9999, value: value ?? "", placeholder: label,
    "aria-label": label === "from" ? "From year" : "To year", inputmode: "numeric" });
  const low = make("from", from), high = make("to", to);
  const read = (field) => (field.value && field.checkValidity() ? Number(field.value) : null);
  const changed = () => {
    const [start, end] = [read(low), read(high)];
    if (start !== null && end !== null && start > end) change(end, start);
    else change(start, end);
  };
  low.addEventListener("change", changed);
  high.addEventListener("change", changed);
  return h("div", { class: "year-fields" }, low, h("span", { "aria-hidden": "true" }, "–"), high,
    from !== null || to !== null
      ? button("All years", () => change(null, null)) : null);
}
