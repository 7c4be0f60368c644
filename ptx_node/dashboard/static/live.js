// Parts of a page that ask again by themselves, until somebody pauses them; and what every page shares.
"use strict";
(() => {
  const EVERY_MS = 5000;
  let paused = false;

  const refresh = () => {
    if (paused || document.hidden) return;
    for (const part of document.querySelectorAll("[data-live]")) htmx.trigger(part, "ptx-refresh");
  };

  // Said to screen readers only when it changes, and not while a page is being read out every five seconds.
  let told = null;
  const tell = () => {
    const summary = document.getElementById("live-summary");
    const ears = document.getElementById("ears");
    if (!summary || !ears) return;
    const text = summary.textContent.replace(/\s+/g, " ").trim();
    if (told !== null && told !== text) ears.textContent = text;
    told = text;
  };

  const gone = (state) => {
    const sign = document.getElementById("connection");
    if (sign) sign.hidden = !state;
  };

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("pause");
    if (button) {
      button.addEventListener("click", () => {
        paused = !paused;
        button.setAttribute("aria-pressed", String(paused));
        if (!paused) refresh();
      });
    }
    for (const link of document.querySelectorAll("[data-copy]")) {
      link.addEventListener("click", () => {
        navigator.clipboard.writeText(document.getElementById(link.dataset.copy).textContent.trim())
          .then(() => { link.textContent = "Copied"; }, () => {});
      });
    }
    tell();
    setInterval(refresh, EVERY_MS);
  });
  document.addEventListener("visibilitychange", refresh);
  document.addEventListener("htmx:afterSettle", () => { gone(false); tell(); });
  document.addEventListener("htmx:sendError", () => gone(true));
  document.addEventListener("htmx:responseError", () => gone(true));
  document.addEventListener("htmx:configRequest", (event) => {
    const word = document.querySelector('meta[name="csrf"]');
    if (word && event.detail.verb !== "get") event.detail.headers["X-CSRF-Token"] = word.content;
  });
})();
