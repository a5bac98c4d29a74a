// The runs of the session: the one under way on top, and all of them in a table.
window.fastload = window.fastload || {};
fastload.runs = (() => {
  "use strict";
  const { el, fill } = fastload.dom;
  const { count, ms, numberOf, percent, duration } = fastload.units;
  const byId = (id) => document.getElementById(id);
  const STATE = { starting: "starting", ready: "ready", "warm-up": "warming up", running: "running", paused: "paused",
    stopping: "stopping", ended: "ended" };
  let shown = "";

  const hasFigures = (run) => !["starting", "ready"].includes(run.state);
  const stateOf = (run) => STATE[run.state] || run.state;
  const isGood = (run) => run.exit_code === 0;

  function badge(run) {
    const kind = { "": "running", passed: "good", failed: "bad", finished: "plain" }[run.outcome];
    return el(`span.badge.${kind}`, null, run.outcome || stateOf(run));
  }

  function showNow(data, stop) {
    const run = data.runs.find((one) => one.run === data.current);
    const place = byId("now");
    place.hidden = !run;
    if (!run) return fill(place);
    if (place.dataset.run !== String(run.run) || !place.children.length) {
      place.dataset.run = run.run;
      fill(place, el("div", null, el("b", null, `Run ${run.run}`), " ", el("span.state", { role: "status" }), el("span.figures")),
        el("progress", { max: 1, "aria-label": "Progress" }),
        el("div.actions", null,
          el("a.button.primary", { href: `runs/${run.run}/` }, "Watch and change it"),
          el("button", { type: "button", onclick: () => stop(run.run) }, "Stop")));
    }
    fastload.setText(place.querySelector(".state"), stateOf(run));
    place.querySelector("progress").value = run.progress;
    place.querySelector(".figures").textContent = !hasFigures(run) ? "" :
      `${duration(Math.round(run.elapsed_s))}, ${numberOf(run.vus, "VU")}, ${count(Math.round(run.requests_per_s))} requests/s, ` +
      `p95 ${ms(run.p95_ms)}, ${count(run.failed)} failed`;
    return place;
  }

  // The downloads of the run at `path`, and what else there is.
  function menu(titles, path, ...more) {
    const items = Object.entries(titles).map(([name, title]) =>
      el("li", null, el("a", { href: `${path}/reports/${name}`, download: true }, title)));
    return el("details.menu", null, el("summary", null, "Download"), el("ul", null, items, more));
  }

  const log = (run) => el("li", null, el("a", { href: `runs/${run.run}/log`, target: "_blank" }, "Log"));

  function cell(title, ...content) {
    return el("td", { "data-title": title }, ...content);
  }

  // The cells of what a run measured, empty if that is not known. What failed leads to more of it, if there is a `page`.
  function figures(run, isKnown, page) {
    if (!isKnown) return ["Requests", "Requests/s", "p95", "Failed"].map((title) => cell(title));
    // What is told over all loads of a search would be of none of them.
    const share = run.requests && !run.capacity ? percent(run.failed / run.requests) : "-";
    return [
      cell("Requests", count(run.requests)),
      cell("Requests/s", run.capacity ? "-" : count(Math.round(run.requests_per_s))),
      cell("p95", ms(run.p95_ms)),
      cell("Failed", run.failed && page ? el("a", { href: `${page}#errors` }, share) : share),
    ];
  }

  function row(run, titles, reuse) {
    const started = new Date(run.started_at).toLocaleTimeString([], { hour12: false });
    const page = `runs/${run.run}/`;
    return el("tr", { "data-run": run.run },
      el("th", { scope: "row" }, fastload.compare.box(run.id, `run ${run.run}`, hasFigures(run)),
        el("span.name", null, el("a", { href: page }, `Run ${run.run}`), el("small", null, started))),
      cell("Load", el("span.load", null, run.load.map((text) => el("span", null, text)))),
      ...figures(run, true, page),
      cell("Result", el("span.outcome", null, badge(run),
        run.meaning && !isGood(run) ? el("small", null, run.meaning) : null,
        run.verdict && run.verdict !== "VALID" ? el("small", null, `generator ${run.verdict}`) : null)),
      cell("", el("div.actions", null, menu(titles, `runs/${run.run}`, log(run)),
        el("button.quiet", { type: "button", onclick: () => reuse(run) }, "Use its form"))));
  }

  // `data` is /api/runs, `titles` those of the reports.
  function showList(data, titles, reuse) {
    byId("runs").hidden = !data.runs.length;
    const now = JSON.stringify([data.runs, titles]);
    // A menu that somebody has open stays as it is.
    if (now === shown || document.querySelector("#list details[open]")) return;
    shown = now;
    const heads = ["Run", "Load", "Requests", "Requests/s", "p95", "Failed", "Result"];
    const held = focused("list");
    fill(byId("list"), table("Runs of this session, the newest first", heads, data.runs.map((run) => row(run, titles, reuse))));
    if (held) focusAgain("list", held);
  }

  function table(title, heads, rows) {
    return el("table.runs", null,
      el("caption.unseen", null, title),
      el("thead", null, el("tr", null, heads.map((head) => el("th", { scope: "col" }, head)),
        el("th", { scope: "col" }, el("span.unseen", null, "Downloads")))),
      el("tbody", null, rows));
  }

  const takers = (cell) => [...cell.querySelectorAll("a, button, summary, input")];

  // What of a list has the focus, by its row and its cell: each second of a run makes the list anew.
  function focused(list) {
    const element = document.activeElement;
    const cell = element.closest(`#${list} tbody :is(td, th)`);
    return cell && { run: cell.parentElement.dataset.run, cell: cell.cellIndex, index: takers(cell).indexOf(element) };
  }

  function focusAgain(list, { run, cell, index }) {
    const row = byId(list).querySelector(`tr[data-run="${run}"]`);
    const element = row && takers(row.cells[cell])[index];
    if (element) element.focus({ preventScroll: true });
  }

  return { showNow, showList, cell, figures, focusAgain, focused, menu, table };
})();
