"use strict";
// The confusion matrix as a map. Positions are cells: row = true class, column = predicted class.
(() => {
  const SNAP_PX = 9; // how far a pointer finds a mistake that is smaller than a fingertip
  const LABEL_PX = 11; // cells at least as high get the names of their classes
  const COUNT_PX = 22;
  const BIG_PX = 9; // in smaller cells a press opens the make's block instead of the photos
  const share = (part, whole) => (whole ? `${(100 * part / whole).toFixed(1)} %` : "–");
  const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

  // ---- scenes: what rows and columns stand for, and the cells between them

  function makeScene(rows, cols, cells, blocks, title) {
    cells.sort((a, b) => a.wrong - b.wrong); // the largest are painted last
    const rowSums = new Float64Array(rows.length);
    const at = new Map();
    let total = 0;
    for (const cell of cells) {
      rowSums[cell.i] += cell.n;
      total += cell.n;
      at.set(cell.i * cols.length + cell.j, cell);
    }
    const isNamed = (cell) => rows[cell.i].number >= 0 || cols[cell.j].number >= 0;
    const mistakes = cells.filter((cell) => cell.wrong > 0 && isNamed(cell)).reverse();
    const most = mistakes.length ? mistakes[0].wrong : 0;
    return { rows, cols, cells, blocks, title, rowSums, total, at, most, mistakes };
  }

  function wholeScene(data) {
    const { order, blocks, cells } = data.matrix;
    const lines = order.map((number) => ({ number, name: data.names[number] }));
    const list = [];
    for (let k = 0; k < cells.length; k += 3) {
      const [i, j, n] = [cells[k], cells[k + 1], cells[k + 2]];
      list.push({ i, j, n, wrong: i === j ? 0 : n });
    }
    const named = blocks.map(([name, start, stop]) => ({ name, start, stop }));
    return makeScene(lines, lines, list, named, "");
  }

  // The rows of one make and the columns of one make; all other classes become one more of each,
  // so that every photo is still counted.
  function blockScene(whole, down, across) {
    const pick = (block) => {
      const lines = whole.rows.slice(block.start, block.stop);
      if (lines.length < whole.rows.length) lines.push({ number: -1, name: "other" });
      return lines;
    };
    const rows = pick(down);
    const cols = pick(across);
    const place = (k, block) => (k >= block.start && k < block.stop ? k - block.start : block.stop - block.start);
    const sums = new Map();
    for (const { i, j, n, wrong } of whole.cells) {
      const [u, v] = [place(i, down), place(j, across)];
      const key = u * cols.length + v;
      const cell = sums.get(key) ?? { i: u, j: v, n: 0, wrong: 0 };
      cell.n += n;
      cell.wrong += wrong;
      sums.set(key, cell);
    }
    const names = down === across ? down.name : `${down.name} taken for ${across.name}`;
    const scene = makeScene(rows, cols, [...sums.values()], [], names);
    scene.title = `${names}: ${scene.rows.length - 1} × ${scene.cols.length - 1} classes, all others as “other”; ${scene.total.toLocaleString("en")} photos`;
    return scene;
  }

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
      if (row.number >= 0 && col.number >= 0) return `${n} × ${from} taken for ${to}${n ? `: ${of}` : ""}`;
      const right = n - wrong;
      return `${n.toLocaleString("en")} × ${from} named as ${to}, ${right ? `${right.toLocaleString("en")} of them rightly and ${wrong.toLocaleString("en")} wrongly` : "all wrongly"}${n ? `: ${of}` : ""}`;
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
      const [label, said] = [scene.rows[cell.i].number, scene.cols[cell.j].number];
      if (!found?.wrong) return;
      if (label < 0 && said < 0) return; // most mistakes there are: nothing to show
      const known = (lines, number) => (number < 0 ? lines.map((line) => line.number) : []);
      const detail = {
        split: data.split,
        label: label < 0 ? null : label,
        said: said < 0 ? null : said,
        notLabel: known(scene.rows, label), // "other" is every class but these
        notSaid: known(scene.cols, said),
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
    function heatOf(wrong) {
      const top = Math.max(2, scene.most);
      const level = Math.min(1, Math.max(0, (wrong - 1) / (top - 1))) ** 0.6 * 3;
      const low = Math.min(2, Math.floor(level));
      return colours.heat[low].map((from, k) => Math.round(from + (colours.heat[low + 1][k] - from) * (level - low)));
    }
    function draw() {
      if (asked) return;
      asked = requestAnimationFrame(() => { asked = 0; paint(); });
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
    function paint() {
      const scale = devicePixelRatio || 1;
      const font = getComputedStyle(root).fontFamily;
      pen.setTransform(scale, 0, 0, scale, 0, 0);
      pen.clearRect(0, 0, box.width, box.height);
      pen.save();
      pen.beginPath();
      pen.rect(box.left, box.top, box.side, box.side);
      pen.clip();
      paintLines();
      paintCells(font);
      paintCursor();
      pen.restore();
      pen.strokeStyle = colours.muted;
      pen.lineWidth = 1;
      pen.strokeRect(box.left - 0.5, box.top - 0.5, box.side + 1, box.side + 1);
      paintLabels(font, true);
      paintLabels(font, false);
      pen.font = `600 11.5px ${font}`;
      pen.fillStyle = colours.muted;
      pen.textAlign = "left";
      pen.fillText("↑ true class", 0, box.top + box.side + 26);
      pen.fillText("→ predicted", 0, box.top + box.side + 44);
    }
    function paintCells(font) {
      const { w, h } = span();
      const { w: pw, h: ph } = cellPx();
      const least = 1.5; // css px: a lone mistake among 2,000 classes can still be seen
      const gap = Math.min(pw, ph) > 10 ? 1 : 0;
      const counted = [];
      let last = -1;
      for (const cell of scene.cells) {
        const { i, j, n, wrong } = cell;
        if (j + 1 < view.x || j > view.x + w || i + 1 < view.y || i > view.y + h) continue;
        if (wrong !== last) {
          pen.fillStyle = wrong ? `rgb(${heatOf(wrong).join(" ")})` : colours.calm;
          last = wrong;
        }
        const isSum = scene.rows[i].number < 0 && scene.cols[j].number < 0;
        if (isSum) { pen.fillStyle = colours.calm; last = -1; }
        const x = box.left + (j - view.x) * pw;
        const y = box.top + (i - view.y) * ph;
        pen.fillRect(x + gap / 2, y + gap / 2, Math.max(least, pw - gap), Math.max(least, ph - gap));
        if (pw >= COUNT_PX && ph >= COUNT_PX * 0.7) counted.push({ x: x + pw / 2, y: y + ph / 2, n, wrong: isSum ? 0 : wrong });
      }
      pen.font = `12px ${font}`;
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      for (const { x, y, n, wrong } of counted) {
        const [r, g, b] = wrong ? heatOf(wrong) : [0, 0, 0];
        pen.fillStyle = !wrong ? colours.ink : 0.299 * r + 0.587 * g + 0.114 * b > 125 ? "#141a21" : "#ffffff";
        pen.fillText(n.toLocaleString("en"), x, y);
      }
    }
    function paintLines() {
      const { w: pw, h: ph } = cellPx();
      pen.strokeStyle = colours.muted;
      pen.globalAlpha = scene.blocks.length > 20 ? 0.22 : 0.4;
      pen.lineWidth = 1;
      pen.beginPath();
      const cuts = scene === whole ? scene.blocks.slice(1).map((block) => block.start) : [];
      const downs = scene === whole ? cuts : scene.rows.at(-1).number < 0 ? [scene.rows.length - 1] : [];
      const acrosses = scene === whole ? cuts : scene.cols.at(-1).number < 0 ? [scene.cols.length - 1] : [];
      for (const cut of downs) {
        const y = Math.round(box.top + (cut - view.y) * ph) + 0.5;
        pen.moveTo(box.left, y);
        pen.lineTo(box.left + box.side, y);
      }
      for (const cut of acrosses) {
        const x = Math.round(box.left + (cut - view.x) * pw) + 0.5;
        pen.moveTo(x, box.top);
        pen.lineTo(x, box.top + box.side);
      }
      pen.stroke();
      pen.globalAlpha = 1;
    }
    function paintCursor() {
      if (!cursor) return;
      const { w: pw, h: ph } = cellPx();
      const x = box.left + (cursor.j - view.x) * pw;
      const y = box.top + (cursor.i - view.y) * ph;
      const grow = Math.max(0, (7 - Math.min(pw, ph)) / 2);
      pen.globalAlpha = 0.35;
      pen.strokeStyle = colours.accent;
      pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo(box.left, y + ph / 2);
      pen.lineTo(x, y + ph / 2);
      pen.moveTo(x + pw / 2, y + ph);
      pen.lineTo(x + pw / 2, box.top + box.side);
      pen.stroke();
      pen.globalAlpha = 1;
      for (const [colour, thick] of [[colours.card, 4], [colours.accent, 2]]) {
        pen.strokeStyle = colour;
        pen.lineWidth = thick;
        pen.strokeRect(x - grow, y - grow, pw + 2 * grow, ph + 2 * grow);
      }
    }
    // What is written at an axis: classes where they have room, else makes, else nothing.
    function labelsOf(isDown) {
      const lines = isDown ? scene.rows : scene.cols;
      const px = isDown ? cellPx().h : cellPx().w;
      const from = isDown ? view.y : view.x;
      const to = from + (isDown ? span().h : span().w);
      if (px >= LABEL_PX || scene.blocks.length < 2) {
        const every = Math.max(1, Math.ceil(LABEL_PX / px));
        const first = Math.ceil((Math.floor(from)) / every) * every;
        const list = [];
        for (let k = Math.max(0, first); k < Math.min(lines.length, to); k += every) {
          if (k + 0.5 >= from && k + 0.5 <= to) list.push({ name: lines[k].name, middle: k + 0.5, size: 1 });
        }
        return list;
      }
      return scene.blocks
        .map((block) => ({ block, start: Math.max(from, block.start), stop: Math.min(to, block.stop) }))
        .filter(({ start, stop }) => stop > start)
        .map(({ block, start, stop }) => ({ block, name: block.name, middle: (start + stop) / 2, size: stop - start }));
    }
    function paintLabels(font, isDown) {
      const px = isDown ? cellPx().h : cellPx().w;
      const from = isDown ? view.y : view.x;
      const room = (isDown ? box.left : box.height - box.side - box.top) - 12;
      const taken = [];
      pen.font = `11.5px ${font}`;
      pen.textBaseline = "middle";
      for (const label of labelsOf(isDown).sort((a, b) => b.size - a.size)) {
        const place = (isDown ? box.top : box.left) + (label.middle - from) * px;
        if (taken.some((other) => Math.abs(other - place) < 12.5)) continue;
        taken.push(place);
        const isHere = cursor && Math.floor(label.middle) === (isDown ? cursor.i : cursor.j) && !label.block;
        pen.fillStyle = isHere ? colours.accent : label.block ? colours.ink : colours.muted;
        pen.save();
        if (isDown) pen.translate(box.left - 7, place);
        else { pen.translate(place, box.top + box.side + 7); pen.rotate(-Math.PI / 2); }
        pen.textAlign = "right";
        pen.fillText(fit(label.name, room), 0, 0.5);
        pen.restore();
      }
    }
    function fit(text, room) {
      if (pen.measureText(text).width <= room) return text;
      const keep = Math.max(3, Math.floor(text.length * room / pen.measureText(text).width) - 1);
      const tail = Math.floor(keep * 2 / 5);
      return `${text.slice(0, keep - tail)}…${tail ? text.slice(-tail) : ""}`;
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
