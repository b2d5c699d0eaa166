// Gives the page the colours that Airflow has, before anything is drawn, and whenever somebody changes them.
"use strict";

(() => {
  const root = document.documentElement;

  /** Return the element whose class says how Airflow looks; null if the page stands alone. */
  const airflow = () => {
    try {
      return window.parent === window ? null : window.parent.document.documentElement;
    } catch {
      return null; // the page of another site
    }
  };

  const isDark = () => {
    const outer = airflow();
    if (outer?.classList.contains("dark")) return true;
    if (outer?.classList.contains("light")) return false;
    const chosen = localStorage.getItem("theme");
    return chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  };

  const follow = () => {
    const theme = isDark() ? "dark" : "light";
    if (root.dataset.theme === theme) return;
    root.dataset.theme = theme;
    root.dispatchEvent(new CustomEvent("themechange"));
  };

  follow();
  const outer = airflow();
  if (outer) new MutationObserver(follow).observe(outer, { attributes: true, attributeFilter: ["class"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", follow);
  window.addEventListener("storage", follow);
})();
