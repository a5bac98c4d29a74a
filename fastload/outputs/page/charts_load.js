// The charts of the load and of what came back: throughput, users, latency, errors, phases.
window.fastload = window.fastload || {};
fastload.loadCharts = (() => {
  "use strict";
  const { units } = fastload;
  const { ms, count } = units;
  const { has, some, peak, points, series, subjects, metricOf, messageRate, perSecond } =
    fastload.columns;
  const mostKinds = 7;

  const throughput = {
    id: "chart-rate",
    title: "Throughput",
    hint: "What ended each second, and what was due",
    axis: "time",
    height: 180,
    unit: perSecond,
    restName: "mean",
    series: ({ timeline: line, summary }) => {
      const found = [];
      const metric = (name) => metricOf(summary, name);
      const rate = (name) => metric(name).rate;
      const warmup = (summary.plan || {}).warmup_s || 0;
      const add = (name, column, known, colour, more) =>
        found.push(series(line, name, column, colour, perSecond, "mean", known, more));
      if (has(line.offered)) add("offered starts", line.offered, null, "ink", { dash: "dash", width: 1.5 });
      if (some(line.rate)) add("requests", line.rate, rate("http_reqs"), "c1", { width: 2, area: true });
      if (has(line.calls_rate))
        add("calls", line.calls_rate, rate("calls"), "c3", { width: 2, area: !some(line.rate) });
      if (has(line.sessions_rate))
        add("WebSockets opened", line.sessions_rate, rate("ws_sessions"), "c3", { width: line.of === "ws" ? 2 : 1.5 });
      if (has(line.messages_rate)) add("messages", line.messages_rate, messageRate(metric), "c5", { width: 2 });
      if (has(line.events_rate)) add("stream events", line.events_rate, rate("stream_events"), "c8", { width: 2 });
      if (!found.some((one) => one.name !== "offered starts" && same(line, one.y, line.iterations_rate, warmup)))
        add("iterations", line.iterations_rate, rate("iterations"), "c4", {});
      if (some(line.dropped_rate)) add("dropped starts", line.dropped_rate, rate("dropped_iterations"), "c2", {});
      if (some(line.raised_rate)) add("iterations that raised", line.raised_rate, rate("iterations_failed"), "c6", {});
      return found;
    },
    caption: ({ timeline: line }) => {
      const all = [
        ["requests", line.rate],
        ["calls", line.calls_rate],
        ["messages", line.messages_rate],
        ["stream events", line.events_rate],
        ["WebSockets opened", line.sessions_rate],
      ];
      const [name, column] = all.find((one) => some(one[1])) || ["iterations", line.iterations_rate];
      return `Most ${name}: ${peak(line, column, perSecond)}.`;
    },
  };

  // Whether two columns are one and the same line. Those of the warm-up may differ: only requests are counted in it.
  function same(line, left, right, warmup) {
    return line.t.every(
      (end, index) => end <= warmup + 0.05 || Math.abs((left[index] || 0) - (right[index] || 0)) < 1e-9,
    );
  }

  const vus = {
    id: "chart-vus",
    title: "Virtual users",
    axis: "time",
    height: 96,
    unit: count,
    restName: "peak",
    series: ({ timeline: line, summary }) => [
      series(line, "VUs", line.vus, "c4", count, "peak", metricOf(summary, "vus").max, { width: 1.75, area: true }),
    ],
    caption: ({ timeline: line }) => `Most: ${peak(line, line.vus, count)}.`,
  };

  // The headline latency: how it is called, and the column it is in. In an open model there is another one beside it.
  const latencyOf = (line, key) => ({ name: key === "response" ? key : subjects[line.of].name, key });
  const headlineOf = (line) => latencyOf(line, line.headline);
  const otherOf = (line) => (line.open ? latencyOf(line, line.headline === "response" ? "service" : "response") : null);

  const latency = {
    id: "chart-latency",
    title: "Latency",
    hint: "p50, p95 and p99 of each second",
    axis: "time",
    height: 220,
    unit: ms,
    restName: "peak",
    logarithmic: ({ timeline: line }) => spread(line) > 25,
    series: ({ timeline: line }) => {
      const found = [];
      const add = (name, key, colour, more) =>
        found.push(series(line, name, line[key], colour, ms, "peak", null, more));
      const { name, key } = headlineOf(line);
      add(`${name} p50`, `${key}_p50`, "blue-3", { width: 2 });
      add(`${name} p95`, `${key}_p95`, "blue-2", { width: 1.5, to: `${name} p50`, tint: 0.2 });
      add(`${name} p99`, `${key}_p99`, "blue-1", { width: 1.25, to: `${name} p95`, tint: 0.12 });
      const other = otherOf(line);
      if (other) {
        add(`${other.name} p50`, `${other.key}_p50`, "c2", { dash: "dot", width: 1.5 });
        add(`${other.name} p95`, `${other.key}_p95`, "c2", { dash: "dash", width: 1.25 });
        add(`${other.name} p99`, `${other.key}_p99`, "c2", { width: 1 });
      }
      return found;
    },
    caption: ({ timeline: line }) => {
      const { clock } = subjects[line.of];
      const meaning = line.open ? `Response: due to done${share(line)}. Service: ${clock}.` : `From ${clock}.`;
      return `${meaning} Highest p99: ${peak(line, line[`${headlineOf(line).key}_p99`], ms)}.`;
    },
    empty: (data) => (data.timeline.curves.service.x.length ? null : noAnswer(data)),
  };

  // How many had a due time, and how many there are. Only the first of an iteration of an open model has one.
  const covered = (line) => [line.curves.response, line.curves.service].map((points) => points.x.at(-1) || 0);
  const isPart = (line) => covered(line)[0] < covered(line)[1];

  function share(line) {
    const [due, all] = covered(line);
    const which = line.headline === "response" ? "" : " of an open model";
    return due < all ? `, of the ${count(due)} of ${count(all)} that had a due time: the first of an iteration${which}` : "";
  }

  // How much higher the highest p99 is than the usual p50: where that is a lot, a linear scale shows nothing else.
  function spread(line) {
    const { key } = headlineOf(line);
    const middle = line[`${key}_p50`].filter((value) => value !== null).sort((left, right) => left - right);
    const usual = middle[Math.floor(middle.length / 2)] || 1;
    return Math.max(0, ...line[`${key}_p99`].map((value) => value || 0)) / usual;
  }

  function noAnswer({ timeline: line, summary }) {
    const tried = metricOf(summary, "http_reqs").count || 0;
    if (tried) return `No latency: none of ${units.numberOf(tried, "request")} got a response.`;
    if (line.of === "ws") return "No latency: no WebSocket was opened.";
    return "No latency: no request and no measured call ended.";
  }

  const heat = {
    id: "chart-heat",
    title: "Latency, all of it",
    hint: "How many took how long: the stronger the colour, the more",
    axis: "time",
    height: 200,
    unit: ms,
    restName: "peak",
    series: ({ timeline: line }) => {
      const { name, key } = headlineOf(line);
      return [series(line, `${name} p50`, line[`${key}_p50`], "over", ms, "peak", null, { width: 1.5 })];
    },
    heat: ({ timeline: line }) => heatOf(line),
    caption: ({ timeline: line }) =>
      `Most common: ${busiest(line)}. Each column is ${line.step_s === 1 ? "a second" : `${line.step_s} s`}.`,
    empty: (data) => (data.timeline.heat.some((row) => row.length) ? null : noAnswer(data)),
  };

  // The band with the most values of the whole run.
  function busiest(line) {
    const sums = line.bounds.map(() => 0);
    for (const [first, ...counts] of line.heat) counts.forEach((value, place) => (sums[first + place] += value));
    const band = sums.reduce((best, value, index) => (value > sums[best] ? index : best), 0);
    return `${ms(line.bounds[band])} to ${ms(line.bounds[band + 1])}`;
  }

  // Values per second by band (rows) and time (columns), cut to the bands that have any. Lost seconds stay empty.
  function heatOf(line) {
    const used = line.heat.filter((row) => row.length);
    const low = used.reduce((least, [first]) => Math.min(least, first), Infinity);
    const high = used.reduce((most, row) => Math.max(most, row[0] + row.length - 2), 0);
    const edges = [line.t[0] - line.span[0]];
    const columns = [];
    line.heat.forEach(([first, ...counts], index) => {
      const begin = line.t[index] - line.span[index];
      if (begin > edges.at(-1) + 0.05) {
        edges.push(begin);
        columns.push([]);
      }
      edges.push(line.t[index]);
      columns.push([
        ...new Array(counts.length ? first - low : 0).fill(0),
        ...counts.map((value) => value / line.span[index]),
      ]);
    });
    const z = Array.from({ length: high - low + 1 }, (_, band) => columns.map((column) => column[band] || 0));
    return { x: edges, y: line.bounds.slice(low, high + 2), z };
  }

  const errors = {
    id: "chart-errors",
    title: "Errors",
    hint: "Failures each second, by kind",
    axis: "time",
    height: 130,
    unit: perSecond,
    restName: "in all",
    series: ({ timeline: line, summary }) => {
      const counted = new Map((summary.errors || []).map((one) => [one.kind, one.count]));
      const kinds = Object.entries(line.errors);
      const all = kinds.length + line.errors_left_out;
      const shown = kinds.slice(0, all > mostKinds + 1 ? mostKinds : kinds.length);
      const others = kinds.slice(shown.length);
      const found = shown.map(([kind, column]) => [kind, column, counted.get(kind) || 0]);
      const rest = [...counted.values()].reduce((sum, value) => sum + value, 0);
      if (all > shown.length)
        found.push([
          `${all - shown.length} other kinds`,
          line.errors_other.map((other, index) => others.reduce((sum, [, column]) => sum + column[index], other)),
          Math.max(0, found.reduce((sum, [, , times]) => sum - times, rest)),
        ]);
      return found.map(([name, column, times], index) => ({
        name,
        ...points(line, column),
        color: errorInks[index % errorInks.length],
        stack: true,
        rest: count(times),
      }));
    },
    caption: ({ timeline: line }) => `Most failed requests: ${peak(line, line.failed_rate, perSecond)}.`,
    empty: ({ timeline: line }) => (Object.keys(line.errors).length ? null : "No errors."),
  };
  const errorInks = ["c2", "c6", "c4", "c1", "c3", "c5", "c7", "c8"];

  const phaseNames = {
    blocked: "blocked",
    lookup: "DNS lookup",
    connecting: "connect",
    tls: "TLS",
    sending: "send",
    waiting: "wait",
    receiving: "receive",
  };
  const phaseInks = {
    blocked: "c7",
    lookup: "c6",
    connecting: "c4",
    tls: "c5",
    sending: "c3",
    waiting: "c1",
    receiving: "c2",
  };

  const phases = {
    id: "chart-phases",
    title: "Where the time goes",
    hint: "Mean of each phase of a request",
    axis: "time",
    height: 150,
    unit: ms,
    restName: "mean",
    series: ({ timeline: line, summary }) =>
      Object.keys(phaseNames)
        .filter((name) => some(line[name]))
        .map((name) =>
          series(
            line,
            phaseNames[name],
            line[name].map((value) => value || 0),
            phaseInks[name],
            ms,
            "mean",
            metricOf(summary, metricOfPhase[name]).avg,
            { stack: true },
          ),
        ),
    caption: ({ summary }) => {
      const means = Object.entries(metricOfPhase).map(([name, metric]) => [name, metricOf(summary, metric).avg || 0]);
      const [name, value] = means.reduce((best, one) => (one[1] > best[1] ? one : best));
      const whole = means.reduce((sum, one) => sum + one[1], 0);
      return whole ? `Most of it is ${phaseNames[name]}: ${ms(value)} of ${ms(whole)} on average.` : "";
    },
    empty: ({ timeline: line }) => {
      if (Object.keys(phaseNames).some((name) => some(line[name]))) return null;
      if (line.of === "call") return "Measured calls have no phases.";
      return line.of === "ws" ? "WebSockets have no phases." : "No phases: no request ended with a response.";
    },
  };
  const metricOfPhase = {
    blocked: "http_req_blocked",
    lookup: "http_req_lookup",
    connecting: "http_req_connecting",
    tls: "http_req_tls_handshaking",
    sending: "http_req_sending",
    waiting: "http_req_waiting",
    receiving: "http_req_receiving",
  };

  const curve = {
    id: "chart-curve",
    title: "Latency by percentile",
    axis: "percentile",
    height: 300,
    unit: ms,
    restName: "greatest",
    logarithmic: () => false,
    hint: "The further right, the rarer",
    series: ({ timeline: line }) => {
      const { response, service } = line.curves;
      const one = (name, points, colour, more) => ({
        name,
        x: points.x,
        y: points.y,
        color: colour,
        rest: ms(points.y.at(-1)),
        ...more,
      });
      const [due, all] = covered(line);
      const leads = (key) => (line.headline === key ? ["c1", { width: 2.25 }] : ["c2", { dash: "dash" }]);
      const found = [];
      // Only curves of the same requests can be called corrected and uncorrected.
      const named = (name, whole, part) => `${name} (${isPart(line) ? part : whole})`;
      if (line.open && response.x.length)
        found.push(one(named("response", "corrected", `${count(due)} with a due time`), response, ...leads("response")));
      if (service.x.length) {
        const { name } = subjects[line.of];
        const full = line.open ? named(name, "uncorrected", `all ${count(all)}`) : name;
        found.push(one(full, service, ...leads("service")));
      }
      return found;
    },
    caption: ({ timeline: line }) => {
      if (!subjects[line.of].response) return `From ${subjects[line.of].clock}, which has no due time.`;
      if (!line.open)
        return "A closed model has no due times: when the target stands still, its users wait and send less, and nothing here shows that.";
      const apart = isPart(line) ? " The curves are of different requests: what lies between them is not waiting alone." : "";
      return `Response counts from when a request was due${share(line)}. Time in which the target stood still shows. Service counts from when it was sent, and hides that.${apart}`;
    },
    empty: (data) => (data.timeline.curves.service.x.length ? null : noAnswer(data)),
  };

  return { throughput, vus, latency, heat, errors, phases, curve };
})();
