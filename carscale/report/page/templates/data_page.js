"use strict";
// A data set's page: search classes, show examples on demand, look at photos large.
(() => {
  // A name of a file is only text: controls, and what turns the direction of writing, are shown as U+FFFD.
  const plain = (text) => text.replace(/[\p{C}\u2028\u2029]/gu, "\ufffd");
  const PAGE = 24;
  const data = window.carscale?.classes;
  // Text only ever becomes text: no name can be markup.
  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }
  const spell = (number) => number.toLocaleString("en");

  // ---- classes

  function tile(row, link, place) {
    const [width, height] = data.tile;
    const image = make("img", { src: row.strip, loading: "lazy", width, height, alt: `Photo ${place + 1} of class ${row.name}` });
    image.style.objectPosition = `-${width * place}px 0`;
    return link ? make("a", { href: link }, image) : make("span", {}, image);
  }
  function entry(row) {
    const counts = data.splits.map((split, place) => `${split} ${spell(row.counts[place])}`).join(" · ");
    const item = make("li", {}, make("h3", {}, row.name), make("p", { class: "fine" }, counts));
    if (row.strip) item.append(make("div", { class: "tiles" }, ...row.links.map((link, place) => tile(row, link, place))));
    return item;
  }
  function showClasses() {
    const form = document.querySelector("[data-search]");
    const told = form.querySelector("[data-told]");
    const list = document.querySelector("[data-strips]");
    const found = document.querySelector("[data-found]");
    const more = document.querySelector("[data-more]");
    const lines = [...document.querySelector("[data-classes]").tBodies[0].rows].map((line) => [line.cells[0].textContent.toLowerCase(), line]);
    let rows = data.classes;
    let shown = 0;
    function showMore() {
      const next = rows.slice(shown, shown + PAGE);
      list.append(...next.map(entry));
      shown += next.length;
      const left = rows.length - shown;
      more.hidden = left === 0;
      more.textContent = `Show ${Math.min(PAGE, left)} more (${spell(left)} left)`;
    }
    function apply() {
      const words = form.elements.namedItem("text").value.toLowerCase().split(/\s+/).filter(Boolean);
      const fits = (name) => words.every((word) => name.includes(word));
      for (const [name, line] of lines) line.hidden = !fits(name);
      rows = data.classes.filter((row) => fits(row.name.toLowerCase()));
      const all = spell(data.classes.length);
      const text = words.length ? `${spell(rows.length)} of ${all} classes${rows.length ? "" : ": none is called that"}` : `All ${all} classes`;
      told.textContent = found.textContent = text;
      shown = 0;
      list.replaceChildren();
      showMore();
    }
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    more.addEventListener("click", () => {
      const first = shown;
      showMore();
      list.children[first]?.querySelector("a")?.focus();
    });
    apply();
  }
  if (data) showClasses();

  // ---- the large view

  const viewer = document.getElementById("viewer");
  function openViewer(links, index) {
    let place = index;
    const image = make("img", { alt: "" });
    const side = make("p", { class: "path" });
    const count = make("p", { class: "fine", role: "status" });
    function fill() {
      const link = links[place];
      const small = link.querySelector("img");
      image.onerror = () => { image.onerror = null; if (link.matches(".photo")) image.src = small.src; };
      image.src = link.href;
      image.alt = small.alt;
      side.replaceChildren(make("a", { href: link.href }, plain(decodeURIComponent(link.href.split("/").slice(-3).join("/")))), `, ${small.alt}`);
      count.textContent = `${place + 1} of ${links.length}`;
    }
    function step(by) {
      const next = place + by;
      if (next < 0 || next >= links.length) return;
      place = next;
      fill();
    }
    const button = (label, text, press) => {
      const node = make("button", { type: "button", "aria-label": label }, text);
      node.addEventListener("click", press);
      return node;
    };
    const bar = make("div", { class: "buttons" },
      button("Previous photo", "←", () => step(-1)), count, button("Next photo", "→", () => step(1)),
      button("Close", "Close", () => viewer.close()));
    viewer.replaceChildren(bar, make("div", { class: "stage" }, image), side);
    viewer.onkeydown = (event) => {
      if (event.key === "ArrowLeft") step(-1);
      else if (event.key === "ArrowRight") step(1);
      else return;
      event.preventDefault();
    };
    viewer.onclick = (event) => { if (event.target === viewer) viewer.close(); };
    viewer.onclose = () => links[place].focus();
    fill();
    viewer.showModal();
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.(".tiles a, [data-photos] a.photo");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab was asked for
    event.preventDefault();
    const links = [...link.closest("[data-photos], [data-strips]").querySelectorAll(".tiles a, a.photo")];
    openViewer(links, links.indexOf(link));
  });
})();
