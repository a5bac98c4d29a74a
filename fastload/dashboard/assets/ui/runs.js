// The runs of the session: the one under way on top, and all of them in a table.
window.fastload = window.fastload || {};
fastload.runs = (() => {
  "use strict";
  const { el, fill } = fastload.dom;
  const { count, ms, numberOf, percent, duration } = fastload.units;
  const byId = (id) => document.getElementById(id);
  const STATE = { starting: "starting", "warm-up": "warming up", running: "running", paused: "paused",
    stopping: "stopping", ended: "ended" };
  let shown = "";

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
    place.querySelector(".figures").textContent = run.state === "starting" ? "" :
      `${duration(Math.round(run.elapsed_s))}, ${numberOf(run.vus, "VU")}, ${count(Math.round(run.requests_per_s))} requests/s, ` +
      `p95 ${ms(run.p95_ms)}, ${count(run.failed)} failed`;
    return place;
  }

  function reports(run, titles) {
    const items = Object.entries(titles).map(([name, title]) =>
      el("li", null, el("a", { href: `runs/${run.run}/reports/${name}`, download: true }, title)));
    items.push(el("li", null, el("a", { href: `runs/${run.run}/log`, target: "_blank" }, "Log")));
    return el("details.menu", null, el("summary", null, "Download"), el("ul", null, items));
  }

  function cell(title, ...content) {
    return el("td", { "data-title": title }, ...content);
  }

  function row(run, titles, reuse) {
    const started = new Date(run.started_at).toLocaleTimeString([], { hour12: false });
    const share = run.requests ? run.failed / run.requests : 0;
    return el("tr", { "data-run": run.run },
      el("th", { scope: "row" }, el("a", { href: `runs/${run.run}/` }, `Run ${run.run}`), el("small", null, started)),
      cell("Load", el("span.load", null, run.load.map((text) => el("span", null, text)))),
      cell("Requests", count(run.requests)),
      cell("Requests/s", count(Math.round(run.requests_per_s))),
      cell("p95", ms(run.p95_ms)),
      cell("Failed", run.requests ? percent(share) : "-"),
      cell("Result", el("span.outcome", null, badge(run),
        run.meaning && !isGood(run) ? el("small", null, run.meaning) : null,
        run.verdict && run.verdict !== "VALID" ? el("small", null, `generator ${run.verdict}`) : null)),
      cell("", el("div.actions", null, reports(run, titles),
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
    const held = focused();
    fill(byId("list"), el("table.runs", null,
      el("caption.unseen", null, "Runs of this session, the newest first"),
      el("thead", null, el("tr", null, heads.map((head) => el("th", { scope: "col" }, head)),
        el("th", { scope: "col" }, el("span.unseen", null, "Downloads")))),
      el("tbody", null, data.runs.map((run) => row(run, titles, reuse)))));
    if (held) focusAgain(held);
  }

  const TAKES_FOCUS = "a, button, summary";

  // What of the list has the focus: each second of a run makes the list anew.
  function focused() {
    const row = document.activeElement.closest("#list tbody tr");
    return row && { run: row.dataset.run, index: [...row.querySelectorAll(TAKES_FOCUS)].indexOf(document.activeElement) };
  }

  function focusAgain({ run, index }) {
    const row = byId("list").querySelector(`tr[data-run="${run}"]`);
    const element = row && row.querySelectorAll(TAKES_FOCUS)[index];
    if (element) element.focus({ preventScroll: true });
  }

  return { showNow, showList };
})();
