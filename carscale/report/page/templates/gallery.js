"use strict";
// Photos of mistakes: filters, order, more on demand, and a large view.
(() => {
  // A name of a file is only text: controls, and what turns the direction of writing, are shown as U+FFFD.
  const plain = (text) => text.replace(/[\p{C}\u2028\u2029]/gu, "\ufffd");
  const PAGE = 24;
  const percent = (value) => (value === null ? "–" : `${(100 * value).toFixed(1)} %`);
  // Text only ever becomes text: no name can be markup.
  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }
  const viewer = document.getElementById("viewer");
  const galleries = new Map();

  function makeCard(data, photo, open) {
    const { names, groups } = data;
    let picture = make("span", { class: "photo none" }, make("span", {}, `No picture: ${photo.trouble}`));
    if (photo.thumb) {
      const alt = `Photo of class ${names[photo.label]}, predicted as ${names[photo.prediction]}`;
      picture = make("a", { class: "photo", href: photo.photo },
        make("img", { src: photo.thumb, loading: "lazy", width: 200, height: 133, alt }));
      picture.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab was asked for
        event.preventDefault();
        open();
      });
    }
    const text = make("div", { class: "text" }, facts(data, photo));
    if (photo.groups.length) text.append(marks(photo, groups));
    const best = photo.top.map(([number, prob]) => make("li", number === photo.label ? { class: "true" } : {},
      make("span", {}, names[number] + (number === photo.label ? " (true)" : "")),
      make("span", { class: "prob" }, percent(prob))));
    const loss = photo.loss === null ? "–" : photo.loss.toFixed(2);
    text.append(make("details", {}, make("summary", {}, `Top ${best.length} · loss ${loss}`),
      make("ol", { class: "top5" }, ...best), path(photo)));
    return make("li", { class: "card" }, picture, text);
  }
  function facts({ names }, photo) {
    return make("dl", {},
      make("dt", {}, "true"), make("dd", { class: "is" }, `${names[photo.label]} `, make("span", { class: "prob" }, percent(photo.prob_label))),
      make("dt", {}, "pred."), make("dd", { class: "prediction" }, `${names[photo.prediction]} `, make("span", { class: "prob" }, percent(photo.prob_prediction))));
  }
  function marks(photo, groups) {
    return make("ul", { class: "marks", "aria-label": "Groups" }, ...photo.groups.map((number) =>
      make("li", number === photo.primary ? { class: "primary" } : {}, groups[number])));
  }
  const path = (photo) => make("p", { class: "path" }, photo.photo ? make("a", { href: photo.photo }, plain(photo.path)) : plain(photo.path));

  // ---- the large view

  function openViewer(gallery, index) {
    let place = index;
    const image = make("img", { alt: "" });
    const side = make("div", { class: "text" });
    const count = make("p", { class: "fine", role: "status" });
    const step = (by) => {
      const next = place + by;
      if (next < 0 || next >= gallery.found.length) return;
      place = next;
      fill();
    };
    const button = (label, text, press) => {
      const node = make("button", { type: "button", "aria-label": label }, text);
      node.addEventListener("click", press);
      return node;
    };
    function fill() {
      const photo = gallery.found[place];
      image.onerror = () => { if (photo.thumb && !image.src.endsWith(photo.thumb)) image.src = photo.thumb; };
      image.hidden = !photo.thumb;
      if (photo.thumb) image.src = photo.photo ?? photo.thumb;
      image.alt = `Photo of class ${gallery.data.names[photo.label]}, predicted as ${gallery.data.names[photo.prediction]}`;
      side.replaceChildren(facts(gallery.data, photo), ...(photo.groups.length ? [marks(photo, gallery.data.groups)] : []), path(photo));
      count.textContent = `${place + 1} of ${gallery.found.length}`;
    }
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
    viewer.onclose = () => gallery.focusCard(place);
    fill();
    viewer.showModal();
  }

  // ---- one gallery

  function makeGallery(root, data) {
    const form = root.querySelector("form");
    const list = root.querySelector(".gallery");
    const found = root.querySelector("[data-found]");
    const more = root.querySelector("[data-more]");
    const photos = data.photos;
    const field = (name) => form.elements.namedItem(name);
    const gallery = { data, found: photos, shown: 0, focusCard };
    let outside = { label: new Set(), prediction: new Set() };
    const orders = {
      loss: () => 0, // as they come; the loss that is no number is first
      sure: (a, b) => (b.prob_prediction ?? -1) - (a.prob_prediction ?? -1),
      unsure: (a, b) => (a.prob_prediction ?? 2) - (b.prob_prediction ?? 2),
      class: (a, b) => data.names[a.label].localeCompare(data.names[b.label]) || data.names[a.prediction].localeCompare(data.names[b.prediction]),
    };
    for (const name of ["label", "prediction"]) {
      const counts = new Map();
      for (const photo of photos) counts.set(photo[name], (counts.get(photo[name]) ?? 0) + 1);
      [...counts].sort(([a], [b]) => data.names[a].localeCompare(data.names[b]))
        .forEach(([number, count]) => field(name).append(new Option(`${data.names[number]} (${count})`, number)));
    }
    data.groups.forEach((title, number) => field("group")?.append(new Option(title, number)));
    const clusters = new Set(photos.map((photo) => photo.cluster).filter((number) => number >= 0));
    [...clusters].sort((a, b) => a - b).forEach((number) => field("cluster")?.append(new Option(`Cluster ${number + 1}`, number)));
    const buttons = [...document.querySelectorAll(`[data-filter="${root.dataset.gallery}"]`)];

    function apply() {
      const text = field("path").value.trim().toLowerCase();
      const number = (name) => (field(name)?.value ? Number(field(name).value) : null);
      const [group, cluster, label, prediction] = ["group", "cluster", "label", "prediction"].map(number);
      const [low, high] = [number("low"), number("high")].map((value) => (value === null ? null : value / 100));
      gallery.found = photos.filter((photo) =>
        (group === null || photo.groups.includes(group)) &&
        (cluster === null || photo.cluster === cluster) &&
        (label === null || photo.label === label) &&
        (prediction === null || photo.prediction === prediction) &&
        !outside.label.has(photo.label) && !outside.prediction.has(photo.prediction) &&
        (low === null || photo.prob_prediction >= low) &&
        (high === null || (photo.prob_prediction ?? 2) <= high) &&
        (!text || photo.path.toLowerCase().includes(text)));
      gallery.found.sort(orders[field("sort").value]);
      gallery.shown = 0;
      list.replaceChildren();
      showMore();
      const all = photos.length.toLocaleString("en");
      found.textContent = gallery.found.length === photos.length ? `All ${all} photos` : `${gallery.found.length.toLocaleString("en")} of ${all} photos${gallery.found.length ? "" : ": none is like that"}${outside.label.size ? "; true class of another make" : ""}${outside.prediction.size ? "; predicted as another make" : ""}`;
      root.dataset.found = gallery.found.length;
      for (const button of buttons) {
        const [name, value] = button.dataset.group !== undefined ? ["group", button.dataset.group] : ["cluster", button.dataset.cluster];
        button.setAttribute("aria-pressed", String(field(name)?.value === value));
      }
    }
    function showMore() {
      const next = gallery.found.slice(gallery.shown, gallery.shown + PAGE);
      const start = gallery.shown;
      list.append(...next.map((photo, k) => makeCard(data, photo, () => openViewer(gallery, start + k))));
      gallery.shown += next.length;
      const left = gallery.found.length - gallery.shown;
      more.hidden = left === 0;
      more.textContent = `Show ${Math.min(PAGE, left)} more (${left.toLocaleString("en")} left)`;
    }
    function focusCard(place) {
      while (gallery.shown <= place && gallery.shown < gallery.found.length) showMore();
      list.children[place]?.querySelector("a.photo, summary")?.focus();
    }
    // Set some fields, clear the others, and go there. Classes in "not" are left out.
    function jump(values, not = {}) {
      for (const node of form.elements) {
        if (node.tagName === "SELECT") node.selectedIndex = 0;
        else if (node.tagName === "INPUT") node.value = "";
      }
      for (const [name, value] of Object.entries(values)) {
        const node = field(name);
        if (!node || value === null || value === undefined) continue;
        node.value = String(value);
        if (node.value === String(value)) continue;
        node.append(new Option(`${data.names[value]} (0)`, value)); // beyond the photos shown
        node.value = String(value);
      }
      outside = { label: new Set(not.label), prediction: new Set(not.prediction) };
      apply();
      const heading = document.getElementById(`photos-${root.dataset.gallery}`);
      heading.scrollIntoView({ block: "start" });
      heading.focus({ preventScroll: true });
    }
    gallery.jump = jump;
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => { outside = { label: new Set(), prediction: new Set() }; apply(); }));
    more.addEventListener("click", () => {
      const first = gallery.shown;
      showMore();
      focusCard(first);
    });
    for (const button of buttons) {
      button.hidden = false;
      const name = button.dataset.group !== undefined ? "group" : "cluster";
      const value = button.dataset[name];
      button.addEventListener("click", () => (button.getAttribute("aria-pressed") === "true" ? (field(name).value = "", apply()) : jump({ [name]: value })));
    }
    galleries.set(root.dataset.gallery, gallery);
    apply();
  }

  for (const root of document.querySelectorAll("[data-gallery]")) {
    const data = window.carscale?.[root.dataset.gallery];
    if (data) makeGallery(root, data);
  }
  document.addEventListener("carscale:pair", ({ detail }) => 
    galleries.get(detail.split)?.jump({ label: detail.label, prediction: detail.prediction }, { label: detail.notLabel, prediction: detail.notPrediction }));
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("[data-jump]");
    const gallery = link && galleries.get(link.dataset.jump);
    if (!gallery) return;
    event.preventDefault();
    gallery.jump({ label: link.dataset.label, prediction: link.dataset.prediction });
  });
})();
