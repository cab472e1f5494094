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

  // -- what is new and urgent, or has become late, on the feed: a mark, a line that is read aloud, and a sound where it is on -------------
  const rows = document.getElementById("feed-rows");
  const alarm = document.getElementById("alarm");
  const silent = document.getElementById("silent");
  const tones = { // pairs of hertz and seconds; 0 is a pause
    FLASH: [[988, 0.14], [0, 0.06], [988, 0.14], [0, 0.06], [988, 0.14], [0, 0.06], [1319, 0.3]],
    IMMEDIATE: [[784, 0.22], [0, 0.1], [784, 0.22]],
    LATE: [[523, 0.3], [392, 0.45]],
  };
  let audio = null;
  const play = async (name) => {
    audio ??= new AudioContext();
    if (audio.state !== "running") {
      if (silent) silent.hidden = false;
      await audio.resume(); // comes to its end with the first key or click
      if (silent) silent.hidden = true;
    }
    let at = audio.currentTime + 0.02;
    for (const [hertz, seconds] of tones[name]) {
      if (hertz) {
        const tone = new OscillatorNode(audio, { frequency: hertz, type: "triangle" });
        const loud = new GainNode(audio, { gain: 0.3 });
        tone.connect(loud).connect(audio.destination);
        tone.start(at);
        tone.stop(at + seconds);
      }
      at += seconds;
    }
    body.dataset.sounded = name;
  };
  for (const button of document.querySelectorAll("[data-try]")) {
    button.hidden = false;
    button.addEventListener("click", () => play(button.dataset.try));
  }
  silent?.querySelector("button").addEventListener("click", () => audio?.resume());

  const known = new Set();
  const fresh = new Set();
  const title = document.title;
  const look = (first) => {
    const news = [];
    for (const row of rows.querySelectorAll("tr[data-row-key]")) {
      const name = row.querySelector("[data-row]").textContent.trim();
      const late = [...row.querySelectorAll("time.late")].map((time) => `LATE ${row.dataset.rowKey} ${time.dataset.due}`);
      const urgent = ["FLASH", "IMMEDIATE"].includes(row.dataset.urgency) ? [`${row.dataset.urgency} ${row.dataset.rowKey}`] : [];
      for (const key of [...urgent, ...late]) {
        if (known.has(key)) continue;
        known.add(key);
        if (first) continue;
        fresh.add(row.dataset.rowKey);
        const kind = key.split(" ", 1)[0];
        news.push([kind, kind === "LATE" ? `${alarm.dataset.late}: ${name}` : `${alarm.dataset.new}: ${row.querySelector(".chip").textContent}, ${name}`]);
      }
      row.classList.toggle("fresh", fresh.has(row.dataset.rowKey));
    }
    document.title = fresh.size ? `(${fresh.size}) ${title}` : title;
    if (!news.length) return;
    alarm.textContent = news.map(([, text]) => text).join(" · ");
    const worst = Object.keys(tones).find((kind) => news.some(([each]) => each === kind));
    if (body.dataset.sound === "on") play(worst);
  };
  if (rows && alarm) {
    look(true);
    body.addEventListener("htmx:afterSwap", () => look(false));
    setInterval(() => look(false), 20000);
    rows.addEventListener("focusin", (event) => { // it was seen
      fresh.delete(event.target.closest("tr")?.dataset.rowKey);
      look(false);
    });
  }

  // -- keys: one key each, only outside of fields, and only where the session has them on --------------------------------------------
  if (body.dataset.keys !== "on") return;
  const lines = () => [...document.querySelectorAll("[data-row]")];
  const move = (step) => {
    const all = lines();
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
