// Light, dark, or as the system has it.

const KEY = "search-theme";
const NEXT = { system: "light", light: "dark", dark: "system" };

export function setUpTheme(button) {
  const show = (theme) => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme === "system" ? "auto" : theme}`;
  };
  let theme = localStorage.getItem(KEY);
  if (!(theme in NEXT)) theme = "system";
  show(theme);
  button.addEventListener("click", () => {
    theme = NEXT[theme];
    localStorage.setItem(KEY, theme);
    show(theme);
  });
}
