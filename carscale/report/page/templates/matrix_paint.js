"use strict";
// Paint the matrix as it is now: cells, lines between makes, the cursor, labels.
(() => {
  const LABEL_PX = 11; // cells at least as high get the names of their classes
  const COUNT_PX = 22;

  // now: scene, whole scene, view (first column and row, zoom), cursor, box in css px, colours
  function paint(pen, root, now) {
    const { scene, whole, view, cursor, box, colours } = now;
    const span = () => ({ w: scene.cols.length / view.zoom, h: scene.rows.length / view.zoom });
    const cellPx = () => ({ w: box.side / span().w, h: box.side / span().h });
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

    function heatOf(wrong) {
      const top = Math.max(2, scene.most);
      const level = Math.min(1, Math.max(0, (wrong - 1) / (top - 1))) ** 0.6 * 3;
      const low = Math.min(2, Math.floor(level));
      return colours.heat[low].map((from, k) => Math.round(from + (colours.heat[low + 1][k] - from) * (level - low)));
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
    // Cut in the middle: the year at a name's end tells classes apart.
    function fit(text, room) {
      let short = text.length > 90 ? `${text.slice(0, 54)}…${text.slice(-35)}` : text;
      for (let keep = Math.min(90, text.length) - 1; keep > 3 && pen.measureText(short).width > room; keep -= 1) {
        const tail = Math.floor(keep * 2 / 5);
        short = `${text.slice(0, keep - tail)}…${text.slice(text.length - tail)}`;
      }
      return short;
    }
  }

  window.carscaleMatrix.paint = paint;
})();
