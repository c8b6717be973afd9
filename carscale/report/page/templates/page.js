"use strict";
// Sort a table by the column whose heading is pressed; empty cells stay last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.firstElementChild?.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "descending"
                                              : head.dataset.kind === "text";
    const read = (row) => {
      const cell = row.cells[column];
      if (head.dataset.kind === "text") return cell.textContent.trim();
      const number = cell.dataset.value === "" ? NaN : Number(cell.dataset.value);
      return Number.isFinite(number) ? number : null;
    };
    const order = new Intl.Collator(undefined, { numeric: true });
    const rows = [...table.tBodies[0].rows].map((row) => [read(row), row]);
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      const less = typeof a === "string" ? order.compare(a, b) : a - b;
      return up ? less : -less;
    });
    table.tBodies[0].append(...rows.map(([, row]) => row));
    heads.forEach((one) => one.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
  }));
}

// Say what lies under the pointer in a figure.
const tip = document.getElementById("tip");
const readPoints = (data) => data.points.map(([x, y, text]) => ({ x, y, text }));
for (const plot of document.querySelectorAll("[data-hover]")) {
  let points = null;
  const image = plot.querySelector("img");
  const show = (event) => {
    points ??= readPoints(JSON.parse(document.getElementById(plot.dataset.hover).textContent));
    const box = image.getBoundingClientRect();
    let best = null;
    let least = 14 * 14;
    for (const point of points) {
      const dx = box.left + point.x * box.width - event.clientX;
      const dy = box.top + point.y * box.height - event.clientY;
      const far = dx * dx + dy * dy;
      if (far < least) { least = far; best = point; }
    }
    tip.hidden = best === null;
    if (best === null) return;
    tip.textContent = best.text;
    const width = Math.min(tip.offsetWidth, innerWidth - 16);
    tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
    tip.style.top = `${event.clientY + 18 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 12 : event.clientY + 18}px`;
  };
  plot.addEventListener("pointermove", show);
  plot.addEventListener("pointerdown", show);
  plot.addEventListener("pointerleave", () => { tip.hidden = true; });
}
addEventListener("scroll", () => { if (tip) tip.hidden = true; }, { passive: true });

// A button that copies a command; without a script the text can still be selected.
for (const code of document.querySelectorAll("code.copy")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copier";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy: ${code.textContent}`);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  code.before(button, " ");
}

// A link into a folded part opens it.
function unfold() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
}
addEventListener("hashchange", unfold);
unfold();
