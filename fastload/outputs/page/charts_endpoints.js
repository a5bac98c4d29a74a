// The most frequent endpoints over time, in one chart: the reader chooses the metric, and one endpoint or several.
//
// fastload.endpointCharts.make(group) gives {element, draw(data), update(data)}: a section, hidden while there are fewer
// than two endpoints. Its chart is one of the `group` that share their time axis. Another page has a `source` of its own:
// what there is to choose from, and what is drawn of it (see `ofRun`).
window.fastload = window.fastload || {};
fastload.endpointCharts = (() => {
  "use strict";
  const { el, fill, section } = fastload.dom;
  const { plot, units } = fastload;
  const { ms, count } = units;
  const { peak, series, perSecond, subjects } = fastload.columns;
  const inks = ["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"];
  const dashes = [undefined, "dash", "dot"];
  // Each is a column of a line. In the legend is what the summary says of the whole run: `known` of a row of its tables.
  const metrics = {
    rate: { title: "Rate", unit: perSecond, restName: "mean", rest: "mean" },
    failed_rate: { title: "Failures", unit: perSecond, restName: "in all", rest: "mean", known: (row) => row.failed, knownUnit: count },
    p50: { title: "Latency p50", unit: ms, restName: "whole run", rest: "peak", known: (row) => timesOf(row).med },
    p95: { title: "Latency p95", unit: ms, restName: "whole run", rest: "peak", known: (row) => timesOf(row)["p(95)"] },
    p99: { title: "Latency p99", unit: ms, restName: "whole run", rest: "peak", known: (row) => timesOf(row)["p(99)"] },
  };
  const timesOf = (row) => row.http_req_duration || row.call_duration;

  function make(group, source = ofRun) {
    const one = { source, metric: "p95", places: new Map(), chosen: new Set(), isTouched: false, labels: "", data: null };
    one.metricSelect = el(
      "select",
      { id: "endpoint-metric", onchange: () => chooseMetric(one) },
      Object.entries(metrics).map(([name, { title }]) => el("option", { value: name, selected: name === one.metric }, title)),
    );
    one.list = el("div.choices");
    one.note = el("small");
    one.figure = plot.figure(specOf(one), group);
    const button = (title, hint, choose) =>
      el("button.quiet", { type: "button", "aria-label": hint, onclick: () => chooseAll(one, choose) }, title);
    one.element = section("endpoints-over-time", "Endpoints over time");
    one.element.dataset.nav = "By endpoint";
    one.element.querySelector("h2").append(one.note);
    one.element.append(
      el(
        "div.picker",
        null,
        el("p.choose", null, el("label", { for: "endpoint-metric" }, "Metric "), one.metricSelect),
        el(
          "fieldset",
          null,
          el("legend", null, "Endpoints"),
          el(
            "p.choose",
            null,
            button("All", "Choose all endpoints", () => true),
            button("None", "Choose no endpoint", () => false),
            button("With failures", "Choose the endpoints with failures", hasFailures),
          ),
          one.list,
        ),
      ),
      el("div.charts", null, one.figure.element),
    );
    return {
      element: one.element,
      draw: (data) => show(one, data, "draw"),
      update: (data) => show(one, data, "update"),
    };
  }

  function specOf(one) {
    const placeOf = ({ label }) => one.places.get(label);
    const { source } = one;
    const linesOf = (data) =>
      source
        .lines(data)
        .filter(({ label }) => one.chosen.has(label))
        .sort((left, right) => placeOf(left) - placeOf(right));
    return {
      id: "chart-endpoints",
      axis: "time",
      height: 260,
      logarithmic: () => false,
      ...facesOf(one),
      series: (data) => linesOf(data).flatMap((line) => source.series(styleOf(one, placeOf(line)), line, data)),
      caption: (data) => source.caption(linesOf(data), { metric: one.metric, ...metrics[one.metric] }, data),
      empty: (data) => (linesOf(data).length ? null : "Choose an endpoint, or several."),
    };
  }

  // What is different for each metric in the spec of the chart.
  function facesOf({ metric, source }) {
    const { title, unit } = metrics[metric];
    return { title, unit, restName: source.restName(metrics[metric]) };
  }

  // How an endpoint is drawn: by its place among all of them.
  const styleOf = ({ metric }, place) => ({
    metric,
    ...metrics[metric],
    color: inks[place % inks.length],
    dash: dashes[Math.floor(place / inks.length) % dashes.length],
  });

  function seriesOf({ metric, unit, rest, known, knownUnit, color, dash }, line, { timeline: { endpoints }, summary }) {
    const row = known && rowOf(summary, line);
    const value = row ? known(row) : null;
    const made = series(endpoints, line.label, line[metric], color, unit, rest, null, { width: 1.75, dash });
    return value === null || value === undefined ? made : { ...made, rest: (knownUnit || unit)(value) };
  }

  const rowOf = (summary, { method, name }) =>
    method
      ? (summary.endpoints || []).find((row) => row.method === method && row.name === name)
      : (summary.calls || []).find((row) => row.name === name);

  function captionOf(lines, { metric, unit, title }, { timeline: { endpoints } }) {
    const most = (line) => Math.max(...line[metric].map((value) => value ?? -1));
    const highest = lines.reduce((best, line) => (most(line) > most(best) ? line : best));
    const { clock } = highest.method ? subjects.http_req : subjects.call;
    const meaning = unit === ms ? ` Latency is from ${clock}.` : "";
    return `Highest ${title.toLowerCase()}: ${peak(endpoints, highest[metric], unit)}, of ${highest.label}.${meaning}`;
  }

  // The endpoints of one run: how many are chosen at first, `lines` to choose from, each with a `label` and its columns,
  // and how many are `left` out; the `series` of one of them, and what is said of those that are drawn.
  const ofRun = {
    shown: 5,
    lines: ({ timeline }) => timeline.endpoints.lines,
    left: ({ timeline }) => timeline.endpoints.left_out,
    restName: ({ restName }) => restName,
    series: seriesOf,
    caption: captionOf,
  };

  const hasFailures = (line) => line.failed_rate.some((value) => value > 0);

  function show(one, data, how) {
    one.data = data;
    const [lines, left] = [one.source.lines(data), one.source.left(data)];
    one.element.hidden = lines.length + left < 2;
    if (one.element.hidden) return;
    one.note.textContent = left ? `the ${count(lines.length)} most frequent of ${count(lines.length + left)}` : "";
    listChoices(one, lines.map(({ label }) => label));
    one.figure[how](data);
  }

  // Only when there are others: whoever is about to choose finds all where it was, also when one becomes more frequent.
  function listChoices(one, labels) {
    const key = JSON.stringify([...labels].sort());
    if (one.labels === key) return;
    one.labels = key;
    for (const label of labels) if (!one.places.has(label)) one.places.set(label, one.places.size);
    if (!one.isTouched) one.chosen = new Set(labels.slice(0, one.source.shown));
    const choice = (label) =>
      el(
        "label",
        { title: label },
        el("input", { type: "checkbox", value: label, onchange: ({ target }) => choose(one, target) }),
        el("span", null, label),
      );
    fill(one.list, labels.map(choice));
    showChosen(one);
  }

  function showChosen(one) {
    for (const input of one.list.querySelectorAll("input")) input.checked = one.chosen.has(input.value);
  }

  function choose(one, input) {
    one.isTouched = true;
    if (input.checked) one.chosen.add(input.value);
    else one.chosen.delete(input.value);
    one.figure.draw(one.data);
  }

  function chooseAll(one, isChosen) {
    one.isTouched = true;
    one.chosen = new Set(one.source.lines(one.data).filter(isChosen).map(({ label }) => label));
    showChosen(one);
    one.figure.draw(one.data);
  }

  function chooseMetric(one) {
    one.metric = one.metricSelect.value;
    Object.assign(one.figure.spec, facesOf(one));
    one.figure.setTitle(one.figure.spec.title);
    one.figure.draw(one.data);
  }

  return { make };
})();
