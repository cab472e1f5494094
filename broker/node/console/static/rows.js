// Rows of a form that are added and removed without a load of the page; without scripts the same buttons send the form.
"use strict";
(() => {
  const blank = (row) => {
    for (const field of row.querySelectorAll("input, textarea")) field.value = "";
    for (const field of row.querySelectorAll("select")) field.selectedIndex = 0;
  };
  const number = (group) => {
    group.querySelectorAll("[data-drop]").forEach((button, at) => {
      button.value = `drop-${group.dataset.rows}-${at}`;
      button.setAttribute("aria-label", `${button.textContent}: ${at + 1}`);
    });
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-add], [data-drop]");
    const group = button?.closest("[data-rows]");
    if (!group) return;
    const rows = group.querySelectorAll("[data-one]");
    const last = rows[rows.length - 1];
    event.preventDefault();
    if (button.hasAttribute("data-add")) {
      if (rows.length >= Number(group.dataset.most)) return;
      const fresh = last.cloneNode(true);
      blank(fresh);
      last.after(fresh);
      fresh.querySelector("input, select, textarea").focus();
    } else {
      const row = button.closest("[data-one]");
      if (rows.length === 1) blank(row);
      else row.remove();
      group.querySelector("[data-add]").focus();
    }
    number(group);
  });
})();
