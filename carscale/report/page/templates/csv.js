"use strict";
// What a person decided on a page: kept in the browser, and saved as a CSV file.
const carscaleCsv = (() => {
  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }
  // A cell that a spreadsheet would compute gets an apostrophe before it; carscale data relabel takes it off.
  const safe = (value) => (/^[=+\-@\t\r\n＝＋－＠]/.test(value) && !/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value) ? `'${value}` : value);
  // RFC 4180: a cell with a quote, a comma or a line end stands in quotes, quotes doubled.
  const cell = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const toCsv = (rows) => rows.map((row) => row.map((value) => cell(safe(String(value)))).join(",") + "\r\n").join("");

  function stored(key) {
    try {
      const kept = JSON.parse(localStorage.getItem(key));
      return kept && typeof kept === "object" ? kept : {};
    } catch {
      return {}; // no storage, or not ours
    }
  }
  function store(key, decisions) {
    try {
      localStorage.setItem(key, JSON.stringify(decisions));
      return true;
    } catch {
      return false;
    }
  }
  function saveCsv(name, rows) {
    const link = make("a", { download: name, href: URL.createObjectURL(new Blob([toCsv(rows)], { type: "text/csv" })) });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
  return { make, saveCsv, store, stored };
})();
