// Small helpers to make elements. Text is always set as text, never as HTML: titles and abstracts come from elsewhere.

export const $ = (id) => document.getElementById(id);

// Make an element: h("p", {class: "note", onclick: f}, "text", child). Properties that are null are left out.
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), tag === "button" ? { type: "button", ...properties } : properties, children);
}

// Make a button that looks like a link.
export const button = (text, onclick, properties = {}) => h("button", { class: "link", onclick, ...properties }, text);

// The same for SVG.
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "checked" || name === "value" || name === "disabled") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// A number as people read it: 31,119.
export const number = (value) => value.toLocaleString("en");

// "1 article", "2 articles".
export const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;
