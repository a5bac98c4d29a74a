// The page of a comparison. `fastload.render(data)` draws it; `data` is what fastload/outputs/compare/page.py says.
window.fastload = window.fastload || {};
(() => {
  "use strict";
  const { el, fill, section } = fastload.dom;
  const { units, plot } = fastload;
  const inks = ["c7", "c1", "c2", "c3", "c4", "c5", "c6", "c8"];
  const tones = { worse: "bad", better: "good", changed: "warn" };
  const marks = { worse: "✗ ", better: "✓ ", changed: "• " };
  const perSecond = (value) => `${units.count(value)}/s`;
  const cpu = (value) => `${units.count(value)}%`;
  const inkOf = (index) => inks[index % inks.length];
  const differs = (row) => row.verdict in tones;
  // What ends in a run, and by what a run of a kind is measured first.
  const rates = { rate: "Requests", calls_rate: "Calls", sessions_rate: "WebSockets opened", messages_rate: "Messages", events_rate: "Stream events", iterations_rate: "Iterations" };
  const leads = { http_req: "rate", call: "calls_rate", ws: "sessions_rate", stream: "events_rate" };
  const has = (column) => column.some((value) => value !== null);

  function render(data) {
    fastload.data = data;
    document.documentElement.dataset.kind = data.kind;
    const group = fastload.time.group();
    const parts = [outcome(data), ...data.sections.map((one) => headline(one)), overTime(data, group), byEndpoint(data, group), percentiles(data)];
    parts.push(...data.sections.map((one) => details(one)), environment(data), reading(data));
    const shown = parts.filter(Boolean);
    fill(document.getElementById("main"), shown.map((one) => one.element));
    for (const one of shown) if (one.draw) one.draw();
    drawNav(shown);
    const { versions = {} } = data.sides[0].runs[0];
    fill(document.getElementById("foot"), el("p", null, `fastload ${versions.fastload || ""}`));
  }

  function drawNav(shown) {
    const links = shown.filter((one) => one.nav && !one.element.hidden).map((one) => el("a", { href: `#${one.element.id}` }, one.nav));
    fill(document.getElementById("nav"), links);
  }

  function outcome(data) {
    // Of different plans, what is better may be so because of another load.
    const tone = ({ verdict }) => (data.refusals.length && verdict === "better" ? tones.changed : tones[verdict]) || "plain";
    const cards = data.verdicts.map((one) => el(
      `div.card.${tone(one)}`, { "data-verdict": one.verdict || "none" },
      el("p.word", null, one.lead), el("p", null, one.text),
    ));
    const warned = [...data.refusals.map((text) => el("li.bad", null, `Different plans: ${text}`)), ...data.warnings.map((text) => el("li", null, text))];
    const sides = data.sides.map((side, index) => el(
      "li", null, el("span.swatch", { style: `--swatch: var(--${inkOf(index)})`, "aria-hidden": "true" }), el("b", null, side.label),
      el("span", null, side.name), el("span.words", null, side.words.join(" · ")),
    ));
    return {
      element: el(
        "section", { id: "outcome", "aria-label": "Outcome" },
        el("h1", null, data.title),
        el("p.about", null, [...new Set(data.sides.map((side) => side.runs[0].title))].join(" · ")),
        el("div.verdicts", null, cards),
        data.details ? el("p.about", null, `${data.details[0].toUpperCase()}${data.details.slice(1)}.`) : null,
        warned.length ? el("ul.notes", { "aria-label": "Warnings" }, warned) : null,
        el("ul.sides", { "aria-label": "Runs" }, sides),
      ),
    };
  }

  // Differences of very different sizes on one scale: even near 0, logarithmic far away. A share's is in points.
  function place(row, value) {
    const near = row.is_share ? 0.005 : 0.05;
    const most = Math.asinh((row.is_share ? 1 : 10) / near);
    return 50 + 50 * Math.max(-1, Math.min(1, Math.asinh(value / near) / most));
  }

  function forest(row) {
    if (row.low === null || row.high === null || row.at === null) return row.interval;
    const [from, at, to] = [row.low, row.at, row.high].map((value) => place(row, value));
    return el(
      "span.interval", { title: row.interval },
      el("span.forest", { "aria-hidden": "true" }, el("span.bar", { style: `left: ${from}%; width: ${to - from}%` }), el("span.dot", { style: `left: ${at}%` })),
      el("span.unseen", null, row.interval),
    );
  }

  // Long names may break where their words end.
  const breakable = (text) => text.split(/(?<=[_/])/).flatMap((word) => [word, el("wbr")]);

  const number = (name, of, show, more) => ({ name, of, show, numeric: true, ...more });
  const tone = (row) => (differs(row) ? row.verdict : "none");

  function columns(label, withPart) {
    return [
      { name: "what", of: (row) => row.subject, show: (row) => breakable(row.subject), wide: true },
      { name: "value", of: (row) => row.figure },
      ...(withPart ? [{ name: "part", of: (row) => row.part }] : []),
      number("A", (row) => row.values[0], (row) => row.texts[0]),
      number(label, (row) => row.values[1], (row) => row.texts[1]),
      number("difference", (row) => row.at, (row) => row.difference),
      number("change", (row) => row.at, (row) => row.change, { mark: tone }),
      { name: fastload.data.is_of_searches ? "interval" : "95% interval", of: (row) => row.low, show: forest, mark: tone, wide: true, hint: "The line in the middle is no difference" },
      { name: "from and to", of: (row) => row.high, show: (row) => (row.low === null ? "" : row.interval) },
      { name: "verdict", of: (row) => row.verdict, show: (row) => `${marks[row.verdict] || ""}${row.word}`, mark: tone },
    ];
  }

  function headline({ label, rows }) {
    const element = section(`headline-${label}`, `${label} against A`, "the figures that decide");
    const table = fastload.tables.table({ id: `headline-${label}-table`, title: `Headline of ${label} against A`, columns: columns(label, false) });
    element.append(table.element);
    table.update(rows.filter((row) => row.section === "headline"));
    return { element, nav: `${label} against A` };
  }

  function details({ label, rows }) {
    const all = rows.filter((row) => row.section !== "headline");
    const different = all.filter(differs);
    const element = section(`details-${label}`, `Details of ${label} against A`, `${units.numberOf(all.length, "figure")}, ${units.count(different.length)} with a difference`);
    const table = fastload.tables.table({ id: `details-${label}-table`, title: `Details of ${label} against A`, columns: columns(label, true) });
    const show = (isOnly) => {
      button.setAttribute("aria-pressed", String(isOnly));
      table.update(isOnly ? different : all);
    };
    const button = el("button.quiet", { type: "button", onclick: () => show(button.getAttribute("aria-pressed") !== "true") }, "Only differences");
    if (!all.length) return null;
    element.append(el("p.filter", null, button), table.element);
    show(different.length > 0);
    return { element, nav: `Details of ${label}` };
  }

  // One line for each run; those of a side are one colour, and one entry of the legend.
  function linesOf(data, pick, format, how) {
    return data.sides.flatMap((side, index) => side.lines.map((line, number) => ({
      name: side.label, ...fastload.columns.points(line, pick(line)), color: inkOf(index), width: side.lines.length > 1 ? 1.1 : 1.75, quiet: number > 0,
      dash: index === 0 ? "dot" : undefined, rest: restOf(side, pick, format, how),
    })));
  }

  function restOf(side, pick, format, { summed, isPercentile }) {
    const all = side.lines.map((line) => summed(line, pick(line))).filter((value) => value !== null);
    if (!all.length) return "-";
    return format(isPercentile ? middle(all) : all.reduce((sum, value) => sum + value, 0) / all.length);
  }

  // A percentile of the whole run: no mean of those of its seconds.
  function percentileOf(name, of) {
    const level = { p50: 2, p95: 20, p99: 100 }[name];
    return (line) => {
      if (line.of !== of) return null;
      const index = line.curve.x.indexOf(level);
      return index < 0 ? (line.curve.y.at(-1) ?? null) : line.curve.y[index];
    };
  }

  function middle(values) {
    const sorted = [...values].sort((a, b) => a - b);
    return sorted[Math.floor((sorted.length - 1) / 2)];
  }

  const mean = (line, column) => fastload.charts.mean(line, column);
  const most = (line, column) => (has(column) ? Math.max(...column.filter((value) => value !== null)) : null);

  function chart(id, title, hint, pick, format, more = {}) {
    const how = { summed: more.summed || mean, isPercentile: Boolean(more.isPercentile) };
    const name = how.isPercentile ? more.restName : how.summed === most ? "peak" : "mean";
    return {
      id, title, hint, axis: "time", height: 150, unit: format, restName: name,
      series: (data) => linesOf(data, pick, format, how).filter((one) => has(one.y)),
      caption: (data) => `${name[0].toUpperCase()}${name.slice(1)}: ${data.sides.map((side) => `${side.label} ${restOf(side, pick, format, how)}`).join(", ")}.`,
      empty: (data) => (data.sides.some((side) => side.lines.some((line) => has(pick(line)))) ? null : more.none || "Not measured."),
      ...more,
    };
  }

  // The line that says what the latencies are of.
  function first(data) {
    const lines = data.sides.flatMap((side) => side.lines);
    return lines.find((line) => line.curve.x.length) || lines[0];
  }

  const curvesOf = (data, side) => side.lines.filter((line) => line.curve.x.length && line.of === first(data).of);

  function specs(data) {
    const lines = data.sides.flatMap((side) => side.lines);
    const line = first(data);
    const some = (name) => lines.some((each) => each[name].some((value) => value > 0));
    const lead = some(leads[line.of]) ? leads[line.of] : Object.values(leads).find(some) || "iterations_rate";
    const clock = `from ${line.latency === "response" ? "due to done" : fastload.columns.subjects[line.of].clock}`;
    const runs = data.sides.some((side) => side.lines.length > 1) ? "median run" : "whole run";
    // Of runs of different plans one may have latencies of something else.
    const latency = (name) => (each) => (each.of === line.of ? each[name] : each.t.map(() => null));
    return [
      chart("chart-rate", "Throughput", `${rates[lead]} each second`, (each) => each[lead], perSecond, { height: 170 }),
      ...Object.keys(rates).filter((name) => name !== lead && name !== "iterations_rate" && some(name)).map((name) => chart(`chart-more-${name}`, rates[name], "Each second", (each) => each[name], perSecond, { height: 110 })),
      ...["p50", "p95", "p99"].map((name) => chart(`chart-${name}`, `Latency ${name}`, `Of each second, ${clock}`, latency(name), units.ms, { logarithmic: () => false, none: "No response came.", summed: percentileOf(name, line.of), isPercentile: true, restName: runs })),
      ...(some("errors_rate") ? [chart("chart-failed", "Failures", "What failed each second", (each) => each.errors_rate, perSecond, { height: 110 })] : []),
      chart("chart-vus", "Virtual users", "", (each) => each.vus, units.count, { height: 96, summed: most }),
      chart("chart-busiest", "Generator CPU", "The busiest worker; 100% is one core", (each) => each.busiest, cpu, { height: 110, most: (value) => Math.max(value, 100) }),
      chart("chart-target", "Target CPU", "100% is one core", (each) => each.target_cpu, cpu, { height: 110, none: "The target was not sampled." }),
      chart("chart-host", "Host CPU", "100% is the whole machine", (each) => each.host_cpu, cpu, { height: 96, most: (value) => Math.max(value, 100) }),
    ];
  }

  function overTime(data, group) {
    const all = data.sides.flatMap((side) => side.lines).filter((line) => line.t.length);
    if (!all.length) return null;
    const element = section("time", "Over time", "all runs from their start; A is dotted");
    const figures = specs(data).map((spec) => plot.figure(spec, group));
    element.append(el("div.charts", null, plot.notice(), group.element, figures.map((one) => one.element)));
    const draw = () => {
      const start = Math.min(0, ...all.map((line) => line.t[0] - line.span[0]));
      group.update({ start, end: Math.max(...all.map((line) => line.t.at(-1))), phases: all[0].phases, events: [], wall: null });
      for (const one of figures) one.draw(data);
    };
    return { element, draw, nav: "Over time" };
  }

  // Its chart has the time axis of those before it.
  function byEndpoint(data, group) {
    if (!data.sides.some((side) => side.lines.some((line) => line.t.length))) return null;
    const { element, draw } = fastload.endpointCharts.make(group, fastload.comparedEndpoints.source(data));
    return { element, draw: () => draw(data), nav: "By endpoint" };
  }

  function percentiles(data) {
    // Percentiles over loads that differ are those of none of them.
    if (data.is_of_searches) return null;
    const spec = {
      id: "chart-curve", title: "Latency by percentile", hint: "The further right, the rarer", axis: "percentile", height: 300, unit: units.ms,
      restName: "greatest", logarithmic: () => false,
      series: () => data.sides.flatMap((side, index) => curvesOf(data, side).map((line, number) => ({
        name: side.label, x: line.curve.x, y: line.curve.y, color: inkOf(index), width: side.lines.length > 1 ? 1.1 : 2, quiet: number > 0,
        dash: index === 0 ? "dot" : undefined, rest: units.ms(Math.max(...curvesOf(data, side).flatMap((each) => each.curve.y.slice(-1)))),
      }))),
      caption: () => "Where two curves part, only the slower ones differ.",
      empty: () => (data.sides.some((side) => side.lines.some((line) => line.curve.x.length)) ? null : "No response came."),
    };
    const element = section("percentiles", "Percentiles");
    const figure = plot.figure(spec);
    element.append(figure.element);
    return { element, draw: () => figure.draw(data), nav: "Percentiles" };
  }

  function environment(data) {
    const runs = data.sides.flatMap((side) => side.runs.map((run) => ({ label: side.label, ...run })));
    const element = section("environment", "Environment");
    const text = (name, of) => ({ name, of });
    const version = (name) => text(name, (run) => (run.versions[name] === undefined ? "" : run.versions[name]));
    const table = fastload.tables.table({
      id: "environment-table", title: "Environment",
      columns: [
        { name: "run", of: (run) => run.name, wide: true }, text("side", (run) => run.label), text("started", (run) => run.started_at.slice(0, 19).replace("T", " ")),
        { name: "measured", of: (run) => run.duration_s, show: (run) => units.duration(Math.round(run.duration_s * 10) / 10), numeric: true },
        text("verdict", (run) => run.state), text("CPU", (run) => run.machine.cpu_model || ""), text("CPUs", (run) => String(run.machine.usable_cpus ?? "")),
        { name: "memory", of: (run) => run.machine.memory_total_bytes ?? null, show: (run) => units.bytes(run.machine.memory_total_bytes), numeric: true },
        text("kernel", (run) => run.machine.kernel_release || ""), version("fastload"), version("python"), version("libcurl"),
      ],
    });
    element.append(table.element);
    table.update(runs);
    return { element, nav: "Environment" };
  }

  function reading(data) {
    const element = section("reading", "How to read this");
    element.append(el("ul.reading", null, data.notes.map((text) => el("li", null, `${text[0].toUpperCase()}${text.slice(1)}.`))));
    return { element };
  }

  fastload.render = render;
})();
