"use strict";
// What rows and columns of the matrix stand for, and the cells between them.
(() => {
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
    const names = down === across ? down.name : `${down.name} predicted as ${across.name}`;
    const scene = makeScene(rows, cols, [...sums.values()], [], names);
    scene.title = `${names}: ${scene.rows.length - 1} × ${scene.cols.length - 1} classes, all others as “other”; ${scene.total.toLocaleString("en")} photos`;
    return scene;
  }

  window.carscaleMatrix = { wholeScene, blockScene };
})();
