// Clocks, keys and sound for those who have JavaScript; every page works without. What changes in place is htmx's work, by attributes.
"use strict";
(() => {
  const body = document.body;

  // -- the live feed: htmx swaps what the node sends; here only that the line was lost is said ---------------------------------------
  const status = document.getElementById("feed-status");
  body.addEventListener("htmx:sseError", () => { if (status) status.textContent = status.dataset.lost; });
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  // -- due clocks: the same words as the node writes --------------------------------------------------------------------------------
  const units = JSON.parse(body.dataset.clock || "{}");
  const skew = Number(body.dataset.now) - Date.now(); // a screen whose clock is wrong still shows the node's time
  const fill = (pattern, values) => pattern.replace(/%\((\w+)\)s/g, (_, name) => values[name]);
  const clocks = () => {
    for (const element of document.querySelectorAll("time[data-due]")) {
      const left = Number(element.dataset.due) - Date.now() - skew;
      const whole = Math.floor(Math.abs(left) / 60000);
      const values = { days: Math.floor(whole / 1440), hours: Math.floor(whole / 60) % 24, minutes: whole % 60 };
      const time = fill(values.days ? units.days : values.hours ? units.hours : units.minutes, values);
      element.textContent = fill(left <= 0 ? units.late : units.in, { time });
      element.classList.toggle("late", left <= 0);
    }
  };
  if (units.in) { clocks(); setInterval(clocks, 20000); body.addEventListener("htmx:afterSwap", clocks); }

  // -- keys: one key each, only outside of fields, and only where the session has them on --------------------------------------------
  if (body.dataset.keys !== "on") return;
  const rows = () => [...document.querySelectorAll("[data-row]")];
  const move = (step) => {
    const all = rows();
    if (!all.length) return;
    const at = all.indexOf(document.activeElement);
    all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + step))].focus();
  };
  const go = (name) => document.querySelector(`[data-key="${name}"]`)?.click();
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.target.closest("input, select, textarea, [contenteditable]")) return;
    if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "?") document.getElementById("keys")?.toggleAttribute("open");
    else if (/^[1-9]$/.test(event.key)) go(event.key);
    else if (event.key === "a" || event.key === "f") document.querySelector(`[data-jump="${event.key}"]`)?.focus();
    else return;
    event.preventDefault();
  });
})();
