// Tables that are sorted by click and by keyboard, and that are updated in place.
//
// fastload.tables.table({id, title, columns, sort}) gives {element, update(rows)}. A column is {name, of, show, numeric,
// mark, hint}: `of(row)` is what it sorts by, `show(row)` a text or a node (by default `of`), `mark(row)` a class of the
// cell. `sort` is [name, descending], or nothing for the rows' own order. `listed` is a whole section with one table.
window.fastload = window.fastload || {};
fastload.tables = (() => {
  "use strict";
  const { el, fill, section } = fastload.dom;
  // A longer table shows its first rows, in the order that it has, until somebody wants them all. CSS has the same number.
  const manyRows = 60;

  function table(spec) {
    const one = { spec, rows: [], sort: spec.sort || [null, false], text: "" };
    one.heads = new Map();
    const row = el(
      "tr",
      null,
      spec.columns.map((column) => head(one, column)),
    );
    one.body = el("tbody");
    one.table = el("table", { id: spec.id }, el("caption.unseen", null, spec.title), el("thead", null, row), one.body);
    one.all = el("button.all", { type: "button", "aria-expanded": "false", hidden: true, onclick: () => showAll(one) });
    one.element = el("div.table", { role: "region", "aria-label": spec.title }, one.table, one.all);
    return { element: one.element, update: (rows) => update(one, rows) };
  }

  function head(one, column) {
    const button = el(
      "button",
      { type: "button", onclick: () => sortBy(one, column), title: column.hint || null },
      column.name,
    );
    const cell = el(`th${column.numeric ? ".number" : ""}`, { scope: "col", "aria-sort": "none" }, button);
    one.heads.set(column.name, cell);
    return cell;
  }

  function sortBy(one, column) {
    const [name, descending] = one.sort;
    one.sort = [column.name, name === column.name ? !descending : Boolean(column.numeric)];
    show(one);
  }

  function update(one, rows) {
    // A table that does not change keeps what somebody has marked in it.
    const text = JSON.stringify(rows);
    if (text === one.text) return;
    one.text = text;
    one.rows = rows;
    showLength(one);
    show(one);
  }

  function showAll(one) {
    one.isWhole = !one.isWhole;
    showLength(one);
  }

  function showLength(one) {
    const isLong = one.rows.length > manyRows;
    one.element.classList.toggle("long", isLong && !one.isWhole);
    one.all.hidden = !isLong;
    one.all.setAttribute("aria-expanded", String(Boolean(one.isWhole)));
    one.all.textContent = one.isWhole ? `Show the first ${manyRows}` : `Show all ${fastload.units.count(one.rows.length)}`;
  }

  function show(one) {
    const [name, descending] = one.sort;
    for (const [title, cell] of one.heads)
      cell.setAttribute("aria-sort", title !== name ? "none" : descending ? "descending" : "ascending");
    const column = one.spec.columns.find((each) => each.name === name);
    const rows = column
      ? [...one.rows].sort((left, right) => compare(column.of(left), column.of(right)) * (descending ? -1 : 1))
      : one.rows;
    fill(
      one.body,
      rows.map((row) =>
        el(
          "tr",
          null,
          one.spec.columns.map((each, index) => cell(each, row, index)),
        ),
      ),
    );
  }

  function cell(column, row, index) {
    const mark = column.mark ? column.mark(row) : "";
    const name = `${index === 0 ? "th" : "td"}${column.numeric ? ".number" : ""}${column.wide ? ".wide-cell" : ""}${mark ? `.${mark}` : ""}`;
    return el(name, index === 0 ? { scope: "row" } : { "data-title": column.name }, column.show ? column.show(row) : column.of(row));
  }

  // What is missing comes last in an ascending order.
  function compare(left, right) {
    const [noLeft, noRight] = [left === null || left === undefined, right === null || right === undefined];
    if (noLeft || noRight) return noLeft - noRight;
    return typeof left === "string" ? left.localeCompare(right) : left - right;
  }

  // Names and values, for what is no table of many rows.
  function facts(pairs) {
    return el(
      "dl.facts",
      null,
      pairs
        .filter(([, value]) => value !== null && value !== undefined && value !== "")
        .map(([name, value]) => [el("div", null, el("dt", null, name), el("dd", null, value))]),
    );
  }

  // What the page left out of a table of the summary, in words.
  function more(data, name) {
    const count = (data.left_out || {})[name];
    const which = data.state.complete ? "the summary has" : "the summary in the end has";
    return count ? `… and ${fastload.units.count(count)} more: ${which} them all.` : "";
  }

  // What is told over the whole of a capacity search.
  const ofAllSteps = "over all steps, whose loads differ";

  // A section with one table: {id, title, note, rows(data), columns(data), empty(data)}. `empty` says why there are no
  // rows; without that it is hidden then. Gives {id, title, element, update(data)}.
  function listed(spec) {
    const element = section(spec.id, spec.title, spec.note || "");
    let made = null;
    const none = el("p.none");
    const rest = el("p.none");
    return {
      ...spec,
      element,
      update: (data) => {
        const rows = spec.rows(data);
        const reason = rows.length || !spec.empty ? "" : spec.empty(data);
        element.hidden = !rows.length && !reason;
        none.textContent = reason;
        if (!made && rows.length) {
          made = table({ id: `${spec.id}-table`, title: spec.title, columns: spec.columns(data) });
          none.remove();
          element.append(made.element);
        }
        if (made) made.update(rows);
        else if (!none.isConnected) element.append(none);
        const note = element.querySelector("h2 small");
        const isMixed = spec.isOfLoad !== false && fastload.capacity.isSearch(data);
        note.textContent = [spec.note, isMixed ? ofAllSteps : ""].filter(Boolean).join(", ");
        rest.textContent = more(data, spec.id);
        if (rest.textContent && !rest.isConnected) element.append(rest);
      },
    };
  }

  return { table, facts, listed, more, ofAllSteps };
})();
