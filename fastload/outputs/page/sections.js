// The tables of a report: endpoints, scenarios, groups, calls, checks, errors, the cost per request, metrics, the plan and
// the environment.
//
// fastload.sections.make() gives [{id, title, nav, element, update(data)}], in the order of the page. `update` hides a
// section that has nothing to show, or says why there is nothing.
window.fastload = window.fastload || {};
fastload.sections = (() => {
  "use strict";
  const { el, fill, section } = fastload.dom;
  const { units } = fastload;
  const { listed, more, table } = fastload.tables;
  const { ms, count, percent } = units;

  const number = (name, of, show, more) => ({ name, of, show: (row) => show(of(row)), numeric: true, ...more });
  const text = (name, of, more) => ({ name, of, ...more });
  const trend = (pick) =>
    [
      ["avg", "avg"],
      ["p50", "med"],
      ["p90", "p(90)"],
      ["p95", "p(95)"],
      ["p99", "p(99)"],
      ["max", "max"],
    ].map(([name, key]) => number(name, (row) => pick(row)[key], ms));
  const failedMark = { mark: (row) => (row.failed ? "bad" : "") };
  const share = (part, whole) => (whole ? part / whole : null);

  function statusesOf(row) {
    return Object.entries(row.statuses)
      .sort()
      .map(([status, times]) => `${status === "0" ? "none" : status} × ${count(times)}`)
      .join(", ");
  }

  const endpoints = {
    id: "endpoints",
    title: "Endpoints",
    note: "latency from sent to done",
    empty: ({ timeline }) => (timeline.of === "http_req" ? "No request ended." : ""),
    rows: ({ summary }) => summary.endpoints || [],
    columns: (data) => [
      text("name", (row) => row.name, { wide: true }),
      text("method", (row) => row.method),
      number("requests", (row) => row.requests, count),
      number("failed", (row) => row.failed, count, failedMark),
      number("failed %", (row) => share(row.failed, row.requests), percent, failedMark),
      ...trend((row) => row.http_req_duration),
      text("statuses", statusesOf, { wide: true }),
    ],
  };

  const scenarios = {
    id: "scenarios",
    title: "Scenarios",
    rows: ({ summary }) => summary.scenarios || [],
    columns: () => [
      text("name", (row) => row.name, { wide: true }),
      number("iterations", (row) => row.iterations.count, count),
      number("requests", (row) => row.http_reqs.count, count),
      number(
        "requests/s",
        (row) => row.http_reqs.rate,
        (value) => units.perSecond("", value),
      ),
      number("failed %", (row) => row.http_req_failed.rate, percent, {
        mark: (row) => (row.http_req_failed.fails ? "bad" : ""),
      }),
      ...trend((row) => row.http_req_duration),
    ],
  };

  const groups = {
    id: "groups",
    title: "Groups",
    note: "how long each took",
    rows: ({ summary }) => summary.groups || [],
    columns: () => [
      text("name", (row) => row.name, { wide: true }),
      number("count", (row) => row.group_duration.count, count),
      ...trend((row) => row.group_duration),
    ],
  };

  const calls = {
    id: "calls",
    title: "Measured calls",
    rows: ({ summary }) => summary.calls || [],
    columns: () => [
      text("name", (row) => row.name, { wide: true }),
      number("calls", (row) => row.calls, count),
      number("failed", (row) => row.failed, count, failedMark),
      number("failed %", (row) => share(row.failed, row.calls), percent, failedMark),
      ...trend((row) => row.call_duration),
    ],
  };

  const checkMark = { mark: (row) => (row.fails ? "bad" : "") };
  const checks = {
    id: "checks",
    title: "Checks",
    empty: ({ run }) => (run.kind === "bench" ? "" : "The script checks nothing."),
    rows: ({ summary }) => summary.checks || [],
    columns: () => [
      text("check", (row) => row.name, {
        wide: true,
        show: (row) => [
          el(`span.mark.${row.fails ? "bad" : "good"}`, { "aria-hidden": "true" }, row.fails ? "✗ " : "✓ "),
          row.name,
        ],
      }),
      text("scenario", (row) => row.scenario),
      number("passed", (row) => row.passes, count),
      number("failed", (row) => row.fails, count, checkMark),
      number("rate", (row) => share(row.passes, row.passes + row.fails), percent, checkMark),
    ],
  };

  function withShares(rows) {
    const all = rows.reduce((sum, row) => sum + row.count, 0);
    return rows.map((row) => ({ ...row, share: share(row.count, all) }));
  }

  // Of which requests and calls, as far as they are listed; of a WebSocket or a stream there is none.
  function whereOf({ names = [], count: all }) {
    const rest = all - names.reduce((sum, one) => sum + one.count, 0);
    const listed = names.map((one) => `${one.method} ${one.name} × ${count(one.count)}`.trim());
    return [...listed, ...(names.length && rest > 0 ? [`others × ${count(rest)}`] : [])].join(", ");
  }

  const errors = {
    id: "errors",
    title: "Errors",
    empty: () => "Nothing failed.",
    rows: ({ summary }) => withShares(summary.errors || []),
    columns: () => [
      text("kind", (row) => row.kind),
      number("count", (row) => row.count, count, { mark: () => "bad" }),
      number("share", (row) => row.share, percent, { hint: "Of the failures that are listed" }),
      text("where", whereOf, { wide: true }),
      text("first message", (row) => row.first, { wide: true }),
      text("what to do", (row) => row.remedy || "", { wide: true }),
      number("k6 code", (row) => row.code, String),
    ],
  };

  const metrics = {
    id: "metrics",
    title: "Metrics",
    note: "those of the script, and all others that have data",
    rows: (data) =>
      inOrder(data)
        .map(([label, values]) => ({ label, values, spec: specOf(data, label) }))
        .filter(hasData),
    columns: () => [
      text("metric", (row) => row.label + units.label(row.spec[1]), { wide: true }),
      number(
        "count",
        (row) => row.values.count ?? (row.values.passes !== undefined ? row.values.passes + row.values.fails : null),
        (value) => value,
        { show: shownCount },
      ),
      { ...number("rate", (row) => row.values.rate ?? null, String), show: shownRate },
      { ...number("value", (row) => row.values.value ?? null, String), show: (row) => of(row, row.values.value) },
      ...[
        ["avg", "avg"],
        ["min", "min"],
        ["med", "med"],
        ["p90", "p(90)"],
        ["p95", "p(95)"],
        ["p99", "p(99)"],
        ["p99.9", "p(99.9)"],
        ["max", "max"],
      ].map(([name, key]) => ({
        ...number(name, (row) => row.values[key] ?? null, String),
        show: (row) => of(row, row.values[key]),
      })),
    ],
  };

  // Those of the script first.
  function inOrder({ summary, run }) {
    const all = Object.entries(summary.metrics || {});
    const isOwn = ([label]) => run.own_metrics.includes(label.split("{")[0]);
    return [...all.filter(isOwn), ...all.filter((one) => !isOwn(one))];
  }

  const specOf = (data, label) => data.specs[label.split("{")[0]] || ["trend", ""];
  const of = (row, value) => (value === undefined ? "" : units.of(row.spec[1], value));
  const hasData = ({ values }) =>
    Boolean(values.count || values.passes || values.fails || (values.value !== undefined && values.value !== null));

  // Of a rate how many were true: of the rates of failures those that failed.
  const failureRates = ["http_req_failed", "call_failed", "ws_failed"];

  function shownCount({ label, values, spec }) {
    if (values.passes !== undefined) {
      const trues = failureRates.includes(label.split("{")[0]) ? values.fails : values.passes;
      return `${count(trues)} of ${count(values.passes + values.fails)}`;
    }
    if (values.count === undefined) return "";
    return spec[0] === "counter" ? units.of(spec[1], values.count) : count(values.count);
  }

  function shownRate({ values, spec }) {
    if (values.rate === undefined) return "";
    return spec[0] === "rate" ? percent(values.rate) : units.perSecond(spec[1], values.rate);
  }

  // How often an exception was raised, in which line, and how many messages it had; those are counted up to a limit.
  function raisedWords({ count: times, where, messages }) {
    const of = messages > 1 ? `, first of ${count(messages)}${messages >= mostMessages ? " or more" : ""} messages` : "";
    return `${units.numberOf(times, "time")}${where ? ` at ${where}` : ""}${of}`;
  }
  const mostMessages = 100;

  function exceptions() {
    const element = section("exceptions", "Exceptions", "iterations that raised, with the first traceback");
    const body = el("div");
    element.append(body);
    let before = "";
    return {
      id: "exceptions",
      title: "Exceptions",
      element,
      update: (data) => {
        const { summary } = data;
        const found = [
          ...(summary.hook_errors || []).map((one) => ({ kind: one.hook, first: one.message })),
          ...(summary.exceptions || []),
        ];
        element.hidden = !found.length;
        if (JSON.stringify(found) === before) return;
        before = JSON.stringify(found);
        fill(
          body,
          found.map((one) =>
            el(
              "details",
              { open: true },
              el(
                "summary",
                null,
                el("b.bad", null, one.kind),
                one.count ? ` ${raisedWords(one)}` : "",
              ),
              el("pre", { tabindex: "0" }, one.first),
            ),
          ),
          el("p.none", null, more(data, "exceptions")),
        );
      },
    };
  }

  // What the target used for each request: sentences, and a table of the endpoints where there is an estimate of each.
  function cost() {
    const element = section("cost", "Cost per request");
    const said = el("ul");
    element.append(said);
    let made = null;
    let before = "";
    return {
      id: "cost",
      title: "Cost per request",
      element,
      update: ({ cost: words }) => {
        element.hidden = !words;
        if (!words || JSON.stringify(words) === before) return;
        before = JSON.stringify(words);
        element.querySelector("h2").firstChild.textContent = words.title;
        fill(
          said,
          [words.note, ...words.sentences].map((sentence) => el("li", null, sentence)),
        );
        if (!made && words.rows.length) {
          const columns = words.columns.map((name, index) => ({
            name,
            of: (row) => row.values[index],
            show: (row) => row.cells[index],
            numeric: index > 0,
            wide: !index,
          }));
          made = table({ id: "cost-table", title: words.title, columns });
          element.append(made.element);
        }
        if (made) {
          made.element.hidden = !words.rows.length;
          made.update(words.rows);
        }
      },
    };
  }

  const make = () => [
    listed(endpoints),
    listed(scenarios),
    listed(groups),
    listed(calls),
    listed(checks),
    listed(errors),
    exceptions(),
    cost(),
    listed(metrics),
    ...fastload.about.make(),
  ];

  return { make };
})();
