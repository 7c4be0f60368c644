// One key a decision: a key presses the button that names it. A box on the page switches that off; what is typed into a field stays text, and a picture has keys of its own.
"use strict";
(() => {
  const KEPT = "ptx-keys";
  document.addEventListener("DOMContentLoaded", () => {
    const box = document.getElementById("keys-on");
    if (!box) return;
    box.checked = localStorage.getItem(KEPT) !== "off";
    box.addEventListener("change", () => localStorage.setItem(KEPT, box.checked ? "on" : "off"));
    document.addEventListener("keydown", (event) => {
      if (!box.checked || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest("input:not([type=checkbox]), select, textarea, [role=application]")) return;
      const wanted = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === event.key.toLowerCase());
      if (!wanted) return;
      event.preventDefault();
      wanted.click();
    });
  });
})();
