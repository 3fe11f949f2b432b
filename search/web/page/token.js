// Asking a person for a token, once, whatever number of requests need it.

import { h } from "./dom.js";

let asking = null;

export function askForToken() {
  asking ??= new Promise((resolve) => {
    const value = h("input", { id: "token-value", type: "password", autocomplete: "off", required: true });
    const dialog = h("dialog", { "aria-labelledby": "token-title" }, h("form", { method: "dialog" },
      h("h2", { id: "token-title" }, "A token is needed"),
      h("p", {}, "This server answers those who have a token. It is kept until this tab is closed."),
      h("label", { for: "token-value" }, "Token"), value,
      h("div", { class: "buttons" }, h("button", { class: "quiet", onclick: () => dialog.close() }, "Cancel"),
        h("button", { type: "submit", class: "primary", value: "given" }, "Use it"))));
    dialog.addEventListener("close", () => {
      asking = null;
      dialog.remove();
      resolve(dialog.returnValue === "given" ? value.value.trim() : null);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
  return asking;
}
