// Light or dark: as the system is, until the button says otherwise.

import { on } from "./dom.js";

/** Make a button that switches between light and dark. */
export function followTheme(button) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const name = () => (button.textContent = dark() ? "Light" : "Dark");
  on(button, "click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    name();
  });
  on(system, "change", name);
  name();
}
