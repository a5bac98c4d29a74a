// The saved runs in the folder of --save that are not of this session.
window.fastload = window.fastload || {};
fastload.saved = (() => {
  "use strict";
  const { el, fill } = fastload.dom;
  const { count } = fastload.units;
  const byId = (id) => document.getElementById(id);
  const HEADS = ["File", "Load", "Requests", "Requests/s", "p95", "Failed", "Result"];
  const KINDS = { passed: "good", failed: "bad", damaged: "bad" };
  let shown = "";

  function resultOf(run) {
    const why = run.outcome === "incomplete" ? "no end: it still goes on, or was killed" : run.damage || run.meaning;
    return el("span.outcome", null, el(`span.badge.${KINDS[run.outcome] || "plain"}`, null, run.outcome),
      run.capacity ? el("small", null, `capacity: ${run.capacity}`) : null,
      why ? el("small", null, why) : null,
      run.verdict && run.verdict !== "VALID" ? el("small", null, `generator ${run.verdict}`) : null);
  }

  function row(run, titles) {
    const name = run.file.replace(/\.fastload$/, "");
    // Without its begin there is nothing to open.
    const canOpen = run.load.length > 0;
    return el("tr", { "data-run": run.id },
      el("th", { scope: "row" }, fastload.compare.box(run.id, name, canOpen),
        el("span.name", null, canOpen ? el("a", { href: `saved/${run.id}` }, name) : name,
          el("small", null, [new Date(run.started_at).toLocaleString([], { hour12: false }), run.title].filter(Boolean).join(" · ")))),
      fastload.runs.cell("Load", run.load.length ? el("span.load", null, run.load.map((text) => el("span", null, text))) : ""),
      ...fastload.runs.figures(run, "requests" in run),
      fastload.runs.cell("Result", resultOf(run)),
      fastload.runs.cell("", canOpen ? fastload.runs.menu(titles, `saved/${run.id}`) : null));
  }

  // `data` is /api/saved, `titles` those of the reports.
  function show(data, titles) {
    byId("saved").hidden = !data.has_folder;
    const now = JSON.stringify([data, titles]);
    if (now === shown || document.querySelector("#saved-list details[open]")) return;
    shown = now;
    const held = fastload.runs.focused("saved-list");
    const none = el("p.none", null, "There are none yet in the folder of --save.");
    const more = data.left_out ? el("p.none", null, `… and ${count(data.left_out)} more that were written earlier.`) : null;
    const made = fastload.runs.table("Saved runs, the newest first", HEADS, data.runs.map((run) => row(run, titles)));
    fill(byId("saved-list"), data.runs.length ? made : none, more);
    if (held) fastload.runs.focusAgain("saved-list", held);
  }

  return { show };
})();
