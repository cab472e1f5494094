// What makes a page quicker for those who have JavaScript; every page works without. No library, nothing fetched but this node's own pages.
"use strict";
(() => {
  const body = document.body;

  // -- the live feed: the node sends the part of the page that changed --------------------------------------------------------------
  const feed = document.querySelector("[data-feed]");
  const status = document.getElementById("feed-status");
  if (feed && status && window.EventSource) {
    const source = new EventSource(feed.dataset.feed);
    const say = (text) => { if (status.textContent !== text) status.textContent = text; };
    source.addEventListener("open", () => say(feed.dataset.live));
    source.addEventListener("error", () => say(feed.dataset.lost));
    let before = "";
    source.addEventListener("feed", (event) => {
      const held = document.activeElement && feed.contains(document.activeElement) ? document.activeElement.id : "";
      feed.innerHTML = event.data; // made by this node, with everything escaped
      if (held) document.getElementById(held)?.focus();
      say(before ? feed.dataset.news : feed.dataset.live); // the first one is what the page shows already
      before = event.lastEventId;
      clocks();
    });
    window.addEventListener("pagehide", () => source.close());
    window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  }

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
  if (units.in) { clocks(); setInterval(clocks, 20000); }

  // -- a message that is on its way: look again until it has arrived -----------------------------------------------------------------
  const waiting = document.querySelector("[data-reload]");
  if (waiting) setTimeout(() => location.reload(), Number(waiting.dataset.reload));

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
