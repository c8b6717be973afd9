"use strict";
// J and K go from group to group; answers to pairs of two classes become a CSV file.
(() => {
  const groups = [...document.querySelectorAll(".duplicates article")];
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !"jkJK".includes(event.key)) return;
    const step = event.key.toLowerCase() === "j" ? 1 : -1;
    const now = groups.findIndex((group) => group.contains(document.activeElement));
    const next = now < 0 && step < 0 ? -1 : now + step;
    if (!groups[next]) return;
    event.preventDefault();
    groups[next].focus({ preventScroll: true });
    groups[next].scrollIntoView({ block: "start" });
  });

  const bar = document.querySelector("[data-answers]");
  if (!bar) return;
  const { saveCsv, store, stored } = carscaleCsv;
  const key = `carscale/duplicates/${bar.dataset.answers}`;
  const questions = new Map([...document.querySelectorAll("[data-pair]")].map((node) => [JSON.parse(node.dataset.pair), node])
    .map(([pair, node]) => [pair.map((photo) => photo.path).join("\n"), { pair, node }]));
  const WORDS = ["same one", "same other", "different", "leave out"];
  const answers = new Map(Object.entries(stored(key)).filter(([name, word]) => questions.has(name) && WORDS.includes(word)));
  const status = bar.querySelector("[role=status]");
  let isKept = true;
  function show() {
    for (const [name, { node }] of questions) {
      for (const button of node.querySelectorAll("button")) button.setAttribute("aria-pressed", String(answers.get(name) === button.value));
    }
    status.textContent = `${answers.size} of ${questions.size} answered.${isKept ? "" : " This browser keeps nothing: save before you leave."}`;
    bar.dataset.answered = answers.size;
  }
  for (const [name, { node }] of questions) {
    node.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      if (answers.get(name) === button.value) answers.delete(name);
      else answers.set(name, button.value);
      isKept = store(key, Object.fromEntries(answers));
      show();
    });
  }
  bar.querySelector("button").addEventListener("click", () => {
    const rows = [["id", "path", "label", "decision", "new_label", "other_id", "other_path", "other_label"]];
    for (const [name, { pair: [one, other] }] of questions) {
      const answer = answers.get(name);
      if (!answer) continue;
      const label = answer === "same one" ? one.label : answer === "same other" ? other.label : "";
      rows.push([one.id, one.path, one.label, label ? "same" : answer, label, other.id, other.path, other.label]);
    }
    saveCsv("answers.csv", rows);
  });
  show();
})();
