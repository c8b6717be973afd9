"use strict";
// Labels one at a time: a person says wrong, right or unsure; the answers become a CSV file.
(() => {
  // A name of a file is only text: controls, and what turns the direction of writing, are shown as U+FFFD.
  const plain = (text) => text.replace(/[\p{C}\u2028\u2029]/gu, "\ufffd");
  const percent = (value) => (value === null ? "–" : `${(100 * value).toFixed(1)} %`);
  const WORDS = { wrong: "wrong", right: "right", unsure: "unsure", "leave out": "leave it out" };
  const { make, saveCsv: saveRows, store, stored } = carscaleCsv;

  function makeReview(root, data, review) {
    const { names } = data;
    const { samples } = review;
    const key = `carscale/review/${data.run}/${review.split}`;
    const known = new Map(samples.map((sample) => [sample.id, sample]));
    const decisions = new Map(Object.entries(stored(key)).map(([id, value]) => [Number(id), value])
      .filter(([id, value]) => known.has(id) && known.get(id).path === value.path && value.decision in WORDS));
    const past = [];
    let place = Math.max(0, samples.findIndex((sample) => !decisions.has(sample.id)));

    const button = (letter, text, press) => {
      const node = make("button", { type: "button", "aria-keyshortcuts": letter }, make("kbd", { "aria-hidden": "true" }, letter), ` ${text}`);
      node.addEventListener("click", press);
      return node;
    };
    const picture = make("a", { class: "photo" });
    const told = make("div", { class: "text" });
    const other = make("select", { "aria-label": "The right class" });
    const leave = new Option("leave it out of the data set", "leave out");
    const ordered = names.map((name, number) => [name, number]).sort(([a], [b]) => a.localeCompare(b));
    other.append(leave, ...ordered.map(([name, number]) => new Option(name, number)));
    const status = make("p", { class: "fine", role: "status" });
    const progress = make("progress", { max: samples.length, value: 0, "aria-label": "Decided" });
    const save = make("button", { type: "button", class: "more" }, "Save CSV");
    const wrong = button("W", "Wrong", () => decide("wrong"));
    const right = button("R", "Right", () => decide("right"));
    const unsure = button("U", "Unsure", () => decide("unsure"));
    const back = make("button", { type: "button", "aria-label": "Previous photo" }, "←");
    const next = make("button", { type: "button", "aria-label": "Next photo" }, "→");
    const undo = button("Z", "Undo", undoLast);
    back.addEventListener("click", () => go(place - 1));
    next.addEventListener("click", () => go(place + 1));
    save.addEventListener("click", saveCsv);
    const stage = make("div", { class: "desk", tabindex: "0", role: "group", "aria-label": `Label review of ${review.split}: W wrong, R right, U unsure, arrow keys to move, Z to undo` },
      picture, make("div", { class: "side" }, told,
        make("label", { class: "field" }, "If wrong, it is ", other),
        make("div", { class: "buttons" }, wrong, right, unsure),
        make("div", { class: "buttons" }, back, next, undo), progress, status, make("p", {}, save)));
    root.replaceChildren(stage);

    function go(to) {
      place = Math.max(0, Math.min(samples.length - 1, to));
      const sample = samples[place];
      const made = decisions.get(sample.id);
      picture.replaceChildren();
      picture.classList.toggle("none", !sample.thumb);
      if (sample.photo) picture.setAttribute("href", sample.photo);
      else picture.removeAttribute("href");
      if (sample.thumb) {
        const image = make("img", { alt: `Photo labelled ${names[sample.label]}`, src: sample.photo });
        image.onerror = () => { image.onerror = null; image.src = sample.thumb; };
        picture.append(image);
      } else picture.append(make("span", {}, `No picture: ${sample.trouble}`));
      const isLeft = made?.decision === "leave out";
      other.value = isLeft ? "leave out" : String(made?.new_label ?? sample.suggested);
      told.replaceChildren(
        make("p", { class: "fine" }, `${place + 1} of ${samples.length}${sample.suspect ? " · suspect" : ""}`),
        make("dl", {},
          make("dt", {}, "label"), make("dd", { class: "is" }, `${names[sample.label]} `, make("span", { class: "prob" }, percent(sample.prob_label))),
          make("dt", {}, "model"), make("dd", { class: "prediction" }, `${names[sample.suggested]} `, make("span", { class: "prob" }, percent(sample.prob_suggested)))),
        make("p", { class: "path" }, plain(sample.path)));
      for (const [node, decision] of [[wrong, "wrong"], [right, "right"], [unsure, "unsure"]]) {
        node.setAttribute("aria-pressed", String(made?.decision === decision || (decision === "wrong" && isLeft)));
      }
      back.setAttribute("aria-disabled", String(place === 0)); // a disabled button would lose the focus
      next.setAttribute("aria-disabled", String(place === samples.length - 1));
      sum();
    }
    function sum() {
      const counts = { wrong: 0, right: 0, unsure: 0, "leave out": 0 };
      for (const { decision } of decisions.values()) counts[decision] += 1;
      const expected = review.expected[samples.length - 1];
      const hint = decisions.size ? "" : expected ? ` About ${Math.round(expected)} real errors are expected among these ${samples.length}.` : "";
      progress.value = decisions.size;
      undo.setAttribute("aria-disabled", String(past.length === 0));
      root.dataset.decided = decisions.size;
      status.textContent = `${decisions.size} of ${samples.length} decided: ${counts.wrong} wrong, ${counts["leave out"]} to leave out, ${counts.right} right, ${counts.unsure} unsure.${hint}${isKept ? "" : " This browser keeps nothing: save before you leave."}`;
    }
    let isKept = true;
    function keep() {
      isKept = store(key, Object.fromEntries(decisions));
    }
    function decide(word) {
      const sample = samples[place];
      const isLeft = word === "wrong" && other.value === "leave out";
      const chosen = Number(other.value);
      if (word === "wrong" && !isLeft && chosen === sample.label) {
        status.textContent = "That is the label it has: choose another class, or say right.";
        return;
      }
      past.push([place, sample.id, decisions.get(sample.id)]);
      decisions.set(sample.id, {
        path: sample.path,
        decision: isLeft ? "leave out" : word,
        new_label: word === "wrong" && !isLeft ? chosen : null,
      });
      keep();
      go(place + 1);
    }
    function undoLast() {
      const last = past.pop();
      if (!last) return;
      const [where, id, before] = last;
      if (before) decisions.set(id, before);
      else decisions.delete(id);
      keep();
      go(where);
    }
    function saveCsv() {
      const rows = [["id", "path", "label", "decision", "new_label"]];
      for (const sample of samples) {
        const made = decisions.get(sample.id);
        if (!made) continue;
        rows.push([sample.id, sample.path, names[sample.label], made.decision, made.new_label === null ? "" : names[made.new_label]]);
      }
      saveRows("decisions.csv", rows);
    }
    const keys = {
      w: () => decide("wrong"), r: () => decide("right"), u: () => decide("unsure"), z: undoLast,
      ArrowLeft: () => go(place - 1), ArrowRight: () => go(place + 1),
    };
    stage.addEventListener("keydown", (event) => {
      const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      if (!keys[pressed] || event.ctrlKey || event.metaKey || event.altKey || event.target === other) return;
      event.preventDefault();
      keys[pressed]();
    });
    go(place);
  }

  for (const root of document.querySelectorAll("[data-review]")) {
    const data = window.carscale?.[root.dataset.review];
    const review = data?.reviews[Number(root.dataset.number)];
    if (review) makeReview(root, data, review);
  }
})();
