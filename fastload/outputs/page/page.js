// The page of one run. `fastload.render(data)` draws it, `fastload.update(data)` brings a live one up to date.
//
// `data` is what fastload/outputs/page/page_data.py says. In an update, `timeline` may have only the rows from number
// `first` on: they replace those that there were from there on. The same goes for its `endpoints`, which have rows of
// their own. What else there is in `data`, in its `run` and in its `summary` replaces what there was, and what is missing
// stays.
// `fastload.data` is what is shown. `fastload.hooks.rendered` and `.updated` are functions that are called with it
// afterwards: what a live page adds (now.js) goes there, and its buttons (live.js) into the element #bar. `rendered` gets
// the places too: the parts of the outcome, and the group of the charts that share their time axis.
window.fastload = window.fastload || {};
(() => {
  "use strict";
  const { el, fill } = fastload.dom;
  const parts = {};
  fastload.hooks = { rendered: [], updated: [] };
  fastload.data = null;

  function render(data) {
    fastload.data = data;
    parts.outcome = fastload.outcome.make();
    parts.charts = fastload.charts.make();
    parts.endpoints = fastload.endpointCharts.make(parts.charts.group);
    parts.sections = fastload.sections.make();
    parts.capacity = fastload.capacity.make(parts.outcome.parts.head);
    const over = fastload.dom.section("time", "Over time", "drag in a chart to zoom, double-click to see all");
    const by = fastload.dom.section("percentiles", "Percentiles");
    over.append(parts.charts.element);
    by.append(parts.charts.curve.element);
    const main = document.getElementById("main");
    fill(
      main,
      parts.outcome.element,
      parts.capacity.element,
      parts.outcome.tiles,
      over,
      parts.endpoints.element,
      by,
      parts.sections.map((one) => one.element),
    );
    show(data);
    // Percentiles over loads that differ are those of none of them.
    by.hidden = fastload.capacity.isSearch(data);
    parts.capacity.draw(data);
    parts.charts.draw(data);
    parts.endpoints.draw(data);
    drawNav();
    const places = { outcome: parts.outcome.parts, group: parts.charts.group };
    for (const hook of fastload.hooks.rendered) hook(data, places);
  }

  function update(data) {
    const before = fastload.data;
    const merged = (name) => ({ ...before[name], ...data[name] });
    fastload.data = before
      ? {
          ...before,
          ...data,
          run: merged("run"),
          summary: merged("summary"),
          timeline: joined(before.timeline, data.timeline),
        }
      : data;
    if (!before) return render(fastload.data);
    show(fastload.data);
    parts.capacity.update(fastload.data);
    parts.charts.update(fastload.data);
    parts.endpoints.update(fastload.data);
    drawNav();
    for (const hook of fastload.hooks.updated) hook(fastload.data);
    return undefined;
  }

  // The rows of `before` up to `after.first`, and then those of `after`.
  function joined(before, after) {
    const endpoints = joinedEndpoints(before.endpoints, after.endpoints);
    const first = after.first || 0;
    if (!first) return { ...after, endpoints };
    const join = (left, right) => (Array.isArray(left) ? left.slice(0, first).concat(right) : right);
    const whole = { ...after, first: 0, endpoints };
    for (const [name, column] of Object.entries(after)) {
      if (name === "phases" || name === "events" || name === "bounds" || name === "curves") continue;
      if (Array.isArray(column)) whole[name] = join(before[name], column);
      else if (name === "workers" || name === "errors") {
        whole[name] = Object.fromEntries(
          Object.entries(column).map(([key, values]) => [key, join(before[name][key], values)]),
        );
      }
    }
    return whole;
  }

  function joinedEndpoints(before, after) {
    const { first } = after;
    if (!first) return after;
    const lineOf = new Map(before.lines.map((line) => [line.label, line]));
    const join = (left, right) =>
      Object.fromEntries(
        Object.entries(right).map(([key, value]) => [key, Array.isArray(value) ? left[key].slice(0, first).concat(value) : value]),
      );
    const { t, span } = join({ t: before.t, span: before.span }, { t: after.t, span: after.span });
    return { ...after, first: 0, t, span, lines: after.lines.map((line) => join(lineOf.get(line.label), line)) };
  }

  function show(data) {
    document.documentElement.dataset.kind = data.kind;
    parts.outcome.update(data);
    for (const section of parts.sections) section.update(data);
    const { versions = {} } = data.summary;
    fill(
      document.getElementById("foot"),
      el("p", null, `fastload ${versions.fastload || ""} · run ${data.run.run_id}`),
    );
  }

  function drawNav() {
    const links = [...document.querySelectorAll("main > section")].filter(
      (section) => !section.hidden && section.id !== "outcome",
    );
    const key = links.map((section) => section.id).join();
    if (parts.nav === key) return;
    parts.nav = key;
    const titles = links.map((section) => [
      section.id,
      section.dataset.nav || section.querySelector("h2").firstChild.textContent,
    ]);
    fill(
      document.getElementById("nav"),
      titles.map(([id, title]) => el("a", { href: `#${id}` }, title)),
    );
  }

  Object.assign(fastload, { render, update });
  fastload.dom.startTheme();
})();
