// The parts of the page of a run: all of it, what failed, and what the script raised. The address has the part.
(() => {
  "use strict";
  const { el } = fastload.dom;
  const { count } = fastload.units;
  const PARTS = { "#failures": "failures", "#errors": "failures", "#exceptions": "exceptions" };
  const links = [...document.querySelectorAll("#tabs a")];
  const sum = (rows) => (rows || []).reduce((total, row) => total + (row.count || 1), 0);

  function showTimes({ summary, left_out: cut }) {
    const more = (name) => ((cut || {})[name] ? "+" : "");
    const times = {
      failures: count(sum(summary.errors)) + more("errors"),
      exceptions: count(sum(summary.exceptions) + sum(summary.hook_errors)) + more("exceptions"),
    };
    for (const link of links) {
      const place = link.querySelector(".times");
      if (place) fastload.setText(place, times[link.dataset.part]);
    }
  }

  function show() {
    // The way past the bar leads to no part.
    if (location.hash === "#main") return;
    const part = PARTS[location.hash] || "overview";
    const before = document.documentElement.dataset.part;
    document.documentElement.dataset.part = part;
    for (const link of links) {
      if (link.dataset.part === part) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (part === (before || "overview")) return;
    // What was not to be seen could not be drawn for the width that it has now, nor be scrolled to.
    if (part === "overview") fastload.plot.redrawAll();
    const place = part === "overview" && document.getElementById(location.hash.slice(1));
    if (place) place.scrollIntoView();
    else scrollTo(0, 0);
  }

  function begin(data) {
    document.getElementById("main").append(el("p.none", { id: "no-exceptions" }, "No iteration raised."));
    showTimes(data);
    show();
    addEventListener("hashchange", show);
  }

  fastload.hooks.rendered.push(begin);
  fastload.hooks.updated.push(showTimes);
})();
