// The first screen of a live page: the figures of the last seconds with their trend, and one chart of the whole load.
(() => {
  "use strict";
  const { el, fill } = fastload.dom;
  const { units, columns } = fastload;
  const { count, ms } = units;
  const { points, subjects, perSecond } = columns;
  // How many rows of the time line a trend has: a minute, in the first quarter of an hour.
  const TREND_ROWS = 60;
  const RATES = { http_req: "rate", call: "calls_rate", ws: "sessions_rate", stream: "events_rate" };
  const SVG = "http://www.w3.org/2000/svg";
  const parts = {};

  const rateOf = (line) => line[RATES[line.of]];
  const nounOf = (line) => subjects[line.of].noun;

  // Failures per second of whatever leads: of requests those that are counted as failed.
  const failedOf = (line) =>
    line.of === "http_req"
      ? line.failed_rate
      : line.t.map((_, index) =>
          Object.values(line.errors).reduce((sum, column) => sum + column[index], line.errors_other[index]));

  function figuresOf({ timeline: line, state }) {
    const now = state.now || {};
    const latency = (name) => [name, ms(now[name]), line[`${line.headline}_${name}`], "c1", ""];
    return [
      [`${nounOf(line)}/s`, count(now.rate), rateOf(line), "c1", ""],
      ["Failures/s", count(now.failed_rate), failedOf(line), "c2", now.failed_rate > 0 ? "bad" : ""],
      ...["p50", "p95", "p99"].map(latency),
    ];
  }

  function tile([name, value, column, ink, mark]) {
    return el(`div${mark ? `.${mark}` : ""}`, null, el("dt", null, name), el("dd", null, value), trend(column, ink));
  }

  // A small line of the last rows, from 0 to the greatest of them. The newest is on the right.
  function trend(column, ink) {
    const shown = (column || []).slice(-TREND_ROWS);
    const most = Math.max(0, ...shown.map((value) => value || 0)) || 1;
    const at = (value, index) => `${TREND_ROWS - shown.length + index},${(22 * (1 - value / most) + 1).toFixed(1)}`;
    const image = document.createElementNS(SVG, "svg");
    image.setAttribute("viewBox", `0 0 ${TREND_ROWS - 1} 24`);
    image.setAttribute("preserveAspectRatio", "none");
    image.setAttribute("aria-hidden", "true");
    for (const stretch of stretchesOf(shown)) {
      const line = document.createElementNS(SVG, "polyline");
      line.setAttribute("points", stretch.map(([value, index]) => at(value, index)).join(" "));
      line.style.stroke = `var(--${ink})`;
      image.append(line);
    }
    return image;
  }

  // The values without the gaps between them, each with its index.
  function stretchesOf(column) {
    const found = [[]];
    column.forEach((value, index) => {
      if (value === null) found.push([]);
      else found.at(-1).push([value, index]);
    });
    return found.filter((stretch) => stretch.length);
  }

  function noteOf({ timeline: line, state }) {
    if (!state.now) return "No figures yet: nothing was sent.";
    const { clock } = subjects[line.of];
    const trend = units.duration(Math.min(line.t.length, TREND_ROWS) * line.step_s);
    const latency = line.headline === "response" ? "due to done" : clock;
    return `Of the last ${units.duration(Math.round(state.now.span_s))}; lines: the last ${trend}. Latency from ${latency}.`;
  }

  const overview = {
    id: "chart-overview",
    title: "Overview",
    hint: "Each second of the run",
    axis: "time",
    height: 232,
    unit: count,
    lanes: [
      { title: "rate", share: 4, unit: perSecond },
      { title: "latency", share: 4, unit: ms },
      { title: "virtual users", share: 2, unit: count },
    ],
    restName: "last",
    series: ({ timeline: line }) => {
      const one = (name, column, color, format, lane, more) => {
        const last = (column || []).findLast((value) => value !== null);
        return { name, ...points(line, column || []), color, lane, rest: last === undefined ? "-" : format(last), ...more };
      };
      return [
        one(nounOf(line).toLowerCase(), rateOf(line), "c1", perSecond, 0, { width: 2, area: true }),
        one("failures", failedOf(line), "c2", perSecond, 0, {}),
        one("p50", line[`${line.headline}_p50`], "blue-3", ms, 1, { width: 2 }),
        one("p95", line[`${line.headline}_p95`], "blue-2", ms, 1, {}),
        one("p99", line[`${line.headline}_p99`], "blue-1", ms, 1, { width: 1.25 }),
        one("VUs", line.vus, "c4", count, 2, { width: 1.75, area: true }),
      ];
    },
    empty: ({ timeline: line }) => (line.t.length ? null : "Nothing was sent yet."),
  };

  function make(data, { outcome, group }) {
    parts.grid = el("dl.now-tiles", { "aria-label": "Now" });
    parts.note = el("p.hint");
    parts.now = el("div", { id: "now" }, parts.grid, parts.note);
    parts.overview = fastload.plot.figure(overview, group);
    outcome.head.after(parts.now);
    outcome.thresholds.after(parts.overview.element);
    show(data);
    parts.overview.draw(data);
  }

  function show(data) {
    parts.now.hidden = data.state.complete;
    fill(parts.grid, figuresOf(data).map(tile));
    parts.note.textContent = noteOf(data);
  }

  fastload.hooks.rendered.push(make);
  fastload.hooks.updated.push((data) => {
    show(data);
    parts.overview.update(data);
  });
})();
