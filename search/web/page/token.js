// Asking a person for a token, once, whatever number of requests need it.

import { $ } from "./dom.js";

let asking = null;

export function askForToken() {
  asking ??= new Promise((resolve) => {
    const dialog = $("token");
    const done = () => { asking = null; resolve(dialog.returnValue === "given" ? $("token-value").value.trim() : null); };
    dialog.returnValue = "";
    dialog.addEventListener("close", done, { once: true });
    $("token-form").onsubmit = (event) => { event.preventDefault(); dialog.close("given"); };
    dialog.querySelector("[data-close]").onclick = () => dialog.close();
    dialog.showModal();
  });
  return asking;
}
