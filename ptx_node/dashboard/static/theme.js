// The chosen theme, before anything is drawn: this script stands in the head.
"use strict";
(() => {
  const root = document.documentElement;
  const KEY = "ptx-theme";
  const chosen = () => {
    try { return localStorage.getItem(KEY) || "auto"; } catch { return "auto"; }
  };
  const apply = (theme) => {
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
  };
  apply(chosen());
  document.addEventListener("DOMContentLoaded", () => {
    const box = document.getElementById("theme");
    if (!box) return;
    box.value = chosen();
    box.addEventListener("change", () => {
      try { localStorage.setItem(KEY, box.value); } catch { /* private window: for this page only */ }
      apply(box.value);
      document.dispatchEvent(new CustomEvent("ptx:theme"));
    });
  });
})();
