"use strict";
// The confusion matrix as a map. Positions are cells: row = true class, column = predicted class.
(() => {
  const { wholeScene, blockScene, paint } = window.carscaleMatrix;
  const SNAP_PX = 9; // how far a pointer finds a mistake that is smaller than a fingertip
  const BIG_PX = 9; // in smaller cells a press opens the make's block instead of the photos
  const share = (part, whole) => (whole ? `${(100 * part / whole).toFixed(1)} %` : "–");
  const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

  // ---- one map

  function makeMap(root, data) {
    const canvas = root.querySelector("canvas");
    const frame = canvas.parentElement;
    const readout = root.querySelector("[data-readout]");
    const sceneWords = root.querySelector("[data-scene]");
    const pen = canvas.getContext("2d");
    const whole = wholeScene(data);
    whole.title = `All ${whole.rows.length.toLocaleString("en")} classes; ${whole.total.toLocaleString("en")} photos`;
    let scene = whole;
    let view = { x: 0, y: 0, zoom: 1 };
    let cursor = null;
    let box = { left: 0, top: 0, side: 1, width: 1, height: 1 };
    let colours = {};
    let asked = 0;
    let lastMistake = -1;

    const span = () => ({ w: scene.cols.length / view.zoom, h: scene.rows.length / view.zoom });
    const cellPx = () => ({ w: box.side / span().w, h: box.side / span().h });
    const maxZoom = () => Math.max(1, Math.max(scene.rows.length, scene.cols.length) / 4);

    function setView(x, y, zoom) {
      view.zoom = clamp(zoom, 1, maxZoom());
      view.x = clamp(x, 0, scene.cols.length - span().w);
      view.y = clamp(y, 0, scene.rows.length - span().h);
      root.dataset.view = [view.x, view.y, span().w, span().h].map((n) => n.toFixed(2)).join(" ");
      canvas.style.touchAction = view.zoom > 1 ? "none" : "pan-x pan-y";
      draw();
    }
    // Zoom so that the cell under a place of the plot (0 to 1) stays there.
    function zoomAt(factor, u = 0.5, v = 0.5) {
      const { w, h } = span();
      const zoom = clamp(view.zoom * factor, 1, maxZoom());
      const [x, y] = [view.x + u * w, view.y + v * h];
      setView(x - u * scene.cols.length / zoom, y - v * scene.rows.length / zoom, zoom);
    }
    function zoomByKey(factor) {
      if (!cursor) return zoomAt(factor);
      const { w, h } = span();
      return zoomAt(factor, clamp((cursor.j + 0.5 - view.x) / w, 0, 1), clamp((cursor.i + 0.5 - view.y) / h, 0, 1));
    }
    function show(next, at = null) {
      scene = next;
      cursor = at;
      lastMistake = -1;
      sceneWords.textContent = scene.title;
      root.dataset.total = scene.total;
      root.dataset.scene = scene === whole ? "whole" : "block";
      makes.value = scene === whole ? "" : makes.value;
      setView(0, 0, 1);
      if (cursor) tell();
    }
    function showBlock(down, across = down) {
      show(blockScene(whole, down, across));
      makes.value = down === across ? String(whole.blocks.indexOf(down)) : "";
      readout.textContent = scene.title;
    }
    const blockOf = (place) => whole.blocks.find((block) => place >= block.start && place < block.stop);

    // ---- words

    function words(cell) {
      const [row, col] = [scene.rows[cell.i], scene.cols[cell.j]];
      const { n, wrong } = scene.at.get(cell.i * scene.cols.length + cell.j) ?? { n: 0, wrong: 0 };
      const of = `${share(n, scene.rowSums[cell.i])} of its ${scene.rowSums[cell.i].toLocaleString("en")} photos`;
      if (row.number >= 0 && row.number === col.number) return `${n} × ${row.name}, right: ${of}`;
      const from = row.number < 0 ? "any other class" : row.name;
      const to = col.number < 0 ? "any other class" : col.name;
      if (row.number >= 0 && col.number >= 0) return `${n} × ${from} predicted as ${to}${n ? `: ${of}` : ""}`;
      const right = n - wrong;
      return `${n.toLocaleString("en")} × ${from} predicted as ${to}, ${right ? `${right.toLocaleString("en")} of them correctly and ${wrong.toLocaleString("en")} wrongly` : "all wrongly"}${n ? `: ${of}` : ""}`;
    }
    function tell() {
      readout.textContent = cursor ? words(cursor) : "Point at a cell, or move with the arrow keys.";
      root.dataset.cursor = cursor ? `${cursor.i} ${cursor.j}` : "";
    }
    function keepInView() {
      const { w, h } = span();
      const x = clamp(view.x, cursor.j + 1 - w, cursor.j);
      const y = clamp(view.y, cursor.i + 1 - h, cursor.i);
      setView(x, y, view.zoom);
    }
    function moveTo(i, j) {
      cursor = { i: clamp(i, 0, scene.rows.length - 1), j: clamp(j, 0, scene.cols.length - 1) };
      keepInView();
      tell();
    }
    function nextMistake(step) {
      if (!scene.mistakes.length) return;
      const from = lastMistake < 0 && step < 0 ? 0 : lastMistake;
      lastMistake = (from + step + scene.mistakes.length) % scene.mistakes.length;
      moveTo(scene.mistakes[lastMistake].i, scene.mistakes[lastMistake].j);
    }
    function pick(cell) {
      const found = scene.at.get(cell.i * scene.cols.length + cell.j);
      const [label, prediction] = [scene.rows[cell.i].number, scene.cols[cell.j].number];
      if (!found?.wrong) return;
      if (label < 0 && prediction < 0) return; // most mistakes there are: nothing to show
      const known = (lines, number) => (number < 0 ? lines.map((line) => line.number) : []);
      const detail = {
        split: data.split,
        label: label < 0 ? null : label,
        prediction: prediction < 0 ? null : prediction,
        notLabel: known(scene.rows, label), // "other" is every class but these
        notPrediction: known(scene.cols, prediction),
      };
      document.dispatchEvent(new CustomEvent("carscale:pair", { detail }));
    }

    // ---- painting

    function readColours() {
      const style = getComputedStyle(root);
      const read = (name) => style.getPropertyValue(name).trim();
      const heat = [0, 1, 2, 3].map((k) => read(`--heat-${k}`));
      colours = { heat: heat.map(parse), calm: read("--calm"), ink: read("--ink"), muted: read("--muted"), line: read("--line"), card: read("--card"), accent: read("--accent") };
    }
    const parse = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
    function draw() {
      if (asked) return;
      asked = requestAnimationFrame(() => { asked = 0; paint(pen, root, { scene, whole, view, cursor, box, colours }); });
    }
    function measure() {
      const width = Math.max(240, Math.min(frame.clientWidth, 860));
      const left = Math.round(clamp(width * 0.27, 84, 210));
      const side = width - left - 12;
      const bottom = Math.round(clamp(width * 0.25, 84, 190));
      box = { left, top: 4, side, width, height: side + bottom + 8 };
      const scale = devicePixelRatio || 1;
      canvas.width = Math.round(box.width * scale);
      canvas.height = Math.round(box.height * scale);
      canvas.style.width = `${box.width}px`;
      canvas.style.height = `${box.height}px`;
      draw();
    }

    // ---- pointer

    function placeOf(event) {
      const at = canvas.getBoundingClientRect();
      const [px, py] = [event.clientX - at.left - box.left, event.clientY - at.top - box.top];
      const isIn = px >= 0 && py >= 0 && px < box.side && py < box.side;
      return { px, py, u: px / box.side, v: py / box.side, isIn };
    }
    function cellAt({ px, py, isIn }) {
      if (!isIn) return null;
      const { w: pw, h: ph } = cellPx();
      const exact = { i: Math.floor(view.y + py / ph), j: Math.floor(view.x + px / pw) };
      if (Math.min(pw, ph) > SNAP_PX) return exact;
      let best = null;
      let least = SNAP_PX * SNAP_PX;
      for (const cell of scene.mistakes) {
        const dx = (cell.j + 0.5 - view.x) * pw - px;
        const dy = (cell.i + 0.5 - view.y) * ph - py;
        const far = dx * dx + dy * dy;
        if (far < least) { least = far; best = cell; }
      }
      return best ? { i: best.i, j: best.j } : exact;
    }
    const fingers = new Map();
    let drag = null;
    let pinch = 0;
    let pressing = 0;
    canvas.addEventListener("pointerdown", (event) => {
      fingers.set(event.pointerId, event);
      drag = { x: event.clientX, y: event.clientY, view: { ...view }, moved: false };
      if (fingers.size === 2) { pinch = apart(); drag.moved = true; }
    });
    const apart = () => {
      const [a, b] = [...fingers.values()];
      return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
    };
    canvas.addEventListener("pointermove", (event) => {
      if (fingers.has(event.pointerId)) fingers.set(event.pointerId, event);
      if (fingers.size === 2) {
        const now = apart();
        const [a, b] = [...fingers.values()];
        const { u, v } = placeOf({ clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 });
        if (pinch > 0) zoomAt(now / pinch, clamp(u, 0, 1), clamp(v, 0, 1));
        pinch = now;
        return;
      }
      if (drag && fingers.size === 1 && view.zoom >= 1) {
        const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
        if (!drag.moved && Math.hypot(dx, dy) > 4) {
          drag.moved = true;
          canvas.setPointerCapture?.(event.pointerId);
        }
        if (drag.moved) {
          const { w: pw, h: ph } = cellPx();
          setView(drag.view.x - dx / pw, drag.view.y - dy / ph, view.zoom);
          canvas.style.cursor = "grabbing";
        }
        return;
      }
      const place = placeOf(event);
      const cell = cellAt(place);
      canvas.style.cursor = cell && scene.at.get(cell.i * scene.cols.length + cell.j)?.wrong || blockLabelAt(place) ? "pointer" : "crosshair";
      if (cell && (cell.i !== cursor?.i || cell.j !== cursor?.j)) { cursor = cell; tell(); draw(); }
    });
    for (const kind of ["pointerup", "pointercancel", "pointerleave"]) {
      canvas.addEventListener(kind, (event) => {
        fingers.delete(event.pointerId);
        pinch = 0;
        if (kind !== "pointerup") drag = null;
      });
    }
    function blockLabelAt({ px, py }) {
      if (scene !== whole || scene.blocks.length < 2) return null;
      if (px < 0 && py >= 0 && py < box.side) return blockOf(Math.floor(view.y + py / cellPx().h));
      if (py >= box.side && px >= 0 && px < box.side) return blockOf(Math.floor(view.x + px / cellPx().w));
      return null;
    }
    function press(event) {
      const place = placeOf(event);
      const label = blockLabelAt(place);
      if (label) return showBlock(label);
      const cell = cellAt(place);
      if (!cell) return undefined;
      cursor = cell;
      tell();
      draw();
      const isSmall = Math.min(cellPx().w, cellPx().h) < BIG_PX;
      if (scene === whole && isSmall && scene.blocks.length > 1) {
        const exact = { i: Math.floor(view.y + place.py / cellPx().h), j: Math.floor(view.x + place.px / cellPx().w) };
        return showBlock(blockOf(exact.i), blockOf(exact.j));
      }
      return pick(cell);
    }
    canvas.addEventListener("click", (event) => {
      const moved = drag?.moved;
      drag = null;
      if (moved) return;
      clearTimeout(pressing);
      if (event.detail > 1) return;
      pressing = setTimeout(() => press(event), 260); // unless it becomes a double click
    });
    canvas.addEventListener("dblclick", (event) => {
      clearTimeout(pressing);
      const { u, v, isIn } = placeOf(event);
      if (isIn) zoomAt(event.shiftKey ? 0.5 : 2, u, v);
    });
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // else the page could not be scrolled past it
      event.preventDefault();
      const { u, v } = placeOf(event);
      zoomAt(Math.exp(-clamp(event.deltaY, -120, 120) / 150), clamp(u, 0, 1), clamp(v, 0, 1));
    }, { passive: false });

    // ---- keys and controls

    const start = () => ({ i: Math.floor(view.y + span().h / 2), j: Math.floor(view.x + span().w / 2) });
    const keys = {
      ArrowUp: () => moveTo(cursor.i - 1, cursor.j),
      ArrowDown: () => moveTo(cursor.i + 1, cursor.j),
      ArrowLeft: () => moveTo(cursor.i, cursor.j - 1),
      ArrowRight: () => moveTo(cursor.i, cursor.j + 1),
      n: () => nextMistake(1),
      p: () => nextMistake(-1),
      "+": () => zoomByKey(1.5),
      "=": () => zoomByKey(1.5),
      "-": () => zoomByKey(1 / 1.5),
      0: () => show(whole),
      b: () => scene === whole && whole.blocks.length > 1 && showBlock(blockOf(cursor.i), blockOf(cursor.j)),
      Enter: () => pick(cursor),
    };
    canvas.addEventListener("keydown", (event) => {
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      if (!keys[key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      if (!cursor && key.startsWith("Arrow")) {
        cursor = start();
        tell();
        draw();
        return;
      }
      cursor ??= start();
      keys[key]();
    });
    const makes = root.querySelector("[data-go=make]");
    const goes = root.querySelector("[data-go=class]");
    whole.blocks.forEach((block, k) => makes.append(new Option(`${block.name} (${block.stop - block.start})`, k)));
    root.querySelector("[data-makes]").hidden = whole.blocks.length < 2;
    whole.rows.map((line, k) => [line.name, k]).sort(([a], [b]) => a.localeCompare(b))
      .forEach(([name, k]) => goes.append(new Option(name, k)));
    makes.addEventListener("change", () => (makes.value === "" ? show(whole) : showBlock(whole.blocks[Number(makes.value)])));
    goes.addEventListener("change", () => {
      if (goes.value === "") return;
      const place = Number(goes.value);
      show(whole, { i: place, j: place });
      const zoom = clamp(whole.rows.length / 24, 1, maxZoom());
      setView(place + 0.5 - whole.cols.length / zoom / 2, place + 0.5 - whole.rows.length / zoom / 2, zoom);
    });
    root.querySelector("[data-do=in]").addEventListener("click", () => zoomByKey(1.5));
    root.querySelector("[data-do=out]").addEventListener("click", () => zoomByKey(1 / 1.5));
    root.querySelector("[data-do=whole]").addEventListener("click", () => show(whole));

    root.hidden = false;
    readColours();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); draw(); });
    new ResizeObserver(measure).observe(frame); // also when a folded part opens
    measure();
    show(whole);
  }

  for (const root of document.querySelectorAll("[data-map]")) {
    const data = window.carscale?.[root.dataset.map];
    if (!data) continue;
    document.querySelector(`[data-still="${root.dataset.map}"]`)?.classList.add("on-paper");
    makeMap(root, data);
  }
})();
