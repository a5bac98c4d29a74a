// The section of a capacity search: the answer, charts over the load, the fitted law and the steps.
//
// fastload.capacity.make(head) gives {element, draw(data), update(data)}. The answer is a card of its own below `head`, so
// that it leads the page. Other runs have neither. While a search goes on they show what it has found so far; a saved run without an end
// has only the sentences about its steps.
window.fastload = window.fastload || {};
fastload.capacity = (() => {
  "use strict";
  const { el, fill, section } = fastload.dom;
  const { units } = fastload;
  const { ms, count, percent } = units;

  const isSearch = ({ summary }) => Boolean(summary.capacity || (summary.plan || {}).capacity);
  const textOf = (result, load) => fastload.capacityCharts.loadText(result, load);

  const OUTCOMES = { good: ["✓", "good"], bad: ["✗", "bad"], generator: ["•", "warn"] };
  const PURPOSES = { first: "the lightest", double: "twice the one before", narrow: "between good and too much", repeat: "once more", confirm: "confirms the capacity" };

  const number = (name, of, show, more) => ({ name, of, show: (row) => show(of(row), row), numeric: true, ...more });
  const failedMark = { mark: (row) => (row.failed_share ? "bad" : "") };
  const orNothing = (show) => (value) => (value === null || value === undefined ? "-" : show(value));

  const columns = [
    { ...number("load", (row) => row.load, count), numeric: false, show: (row) => [el(`span.mark.${OUTCOMES[row.outcome][1]}`, { "aria-hidden": "true" }, `${OUTCOMES[row.outcome][0]} `), row.load_text] },
    number("step", (row) => row.number, count, { hint: "In the order of time" }),
    number("answered/s", (row) => row.answered_per_s, count, { hint: "Requests that were answered well" }),
    number("p50", (row) => row.p50_ms, ms),
    number("p95", (row) => row.p95_ms, ms),
    number("p99", (row) => row.p99_ms, ms),
    number("failed", (row) => row.failed_share, percent, failedMark),
    number("VUs", (row) => row.vus, count, { hint: "In use, on average" }),
    number("target CPU", (row) => row.target_cpu_percent, orNothing(units.cpu), { hint: "100% is one core" }),
    number("CPU/req", (row) => row.cpu_ms, orNothing(ms), { hint: "CPU time of the target for each request" }),
    { name: "nearest to its limit", of: (row) => row.nearest, wide: true },
    { name: "outcome", of: (row) => row.why || PURPOSES[row.purpose] || row.purpose, wide: true, show: outcomeOf, mark: (row) => (row.outcome === "bad" ? "bad" : "") },
  ];

  function outcomeOf(row) {
    if (row.outcome === "generator") return `not the target: ${row.why}`;
    return row.why || `good: ${PURPOSES[row.purpose] || row.purpose}`;
  }

  function make(head) {
    const one = { element: section("capacity", "Capacity"), answer: el("div.card.capacity", { id: "capacity-answer" }), parts: null };
    const show = (data, drawing) => {
      one.element.hidden = !isSearch(data);
      if (one.element.hidden) return;
      // Other runs have nothing of it, also nothing that nobody sees.
      if (!one.parts) {
        one.parts = build(one.element);
        head.after(one.answer);
      }
      drawAnswer(one.answer, data);
      drawParts(one.parts, data, drawing);
    };
    return { element: one.element, draw: (data) => show(data, "draw"), update: (data) => show(data, "update") };
  }

  function build(element) {
    const figures = fastload.capacityCharts.figures.map((spec) => fastload.plot.figure(spec));
    const parts = {
      figures,
      charts: el("div.charts", null, figures.map((one) => one.element)),
      law: el("div", { id: "capacity-law" }),
      title: el("h3", null, "Steps"),
      table: fastload.tables.table({ id: "steps-table", title: "Steps of the search", columns }),
      rest: el("p.none"),
      told: el("ol.told", { "aria-label": "Steps so far" }),
    };
    element.append(parts.charts, parts.law, parts.title, parts.table.element, parts.rest, parts.told);
    return parts;
  }

  function drawParts(parts, data, drawing) {
    const result = data.summary.capacity;
    const hasSteps = Boolean(result && result.steps.length);
    for (const part of [parts.charts, parts.law, parts.title, parts.table.element]) part.hidden = !hasSteps;
    drawTold(parts.told, data);
    parts.rest.textContent = fastload.tables.more(data, "capacity");
    if (!hasSteps) return;
    drawLaw(parts.law, result);
    parts.table.update(rowsOf(result));
    for (const one of parts.figures) one[drawing](data);
  }

  function rowsOf(result) {
    return result.steps
      .map((step) => ({ ...step, load_text: textOf(result, step.load) }))
      .sort((left, right) => left.load - right.load || left.number - right.number);
  }

  // The answer, in one sentence and what belongs to it.
  function drawAnswer(element, data) {
    const { summary, state } = data;
    const result = summary.capacity;
    const [word, tone, parts] = result ? answerOf(result, state) : ["The search has no result", "warn", [state.complete ? "The data end before the search did: the steps below are those that it told." : "It is told step by step."]];
    element.className = `card capacity ${tone}`;
    fill(
      element,
      el("p.word", { id: "capacity-word", role: state.complete ? null : "status" }, word),
      el("ul", null, parts.filter(Boolean).map((text) => el("li", null, text))),
      result && result.remedy && result.state === "at_least" ? el("p.remedy", null, result.remedy) : null,
    );
  }

  function answerOf(result, state) {
    const wanted = result.settings.at_least;
    const objectives = result.objectives.length ? `Objectives: ${result.objectives.join("; ")}` : "";
    if (!state.complete && result.state === "unfinished" && state.search) {
      const good = result.capacity === null ? "no step was good yet" : `good so far: ${textOf(result, result.capacity)}`;
      return [`Searching, ${state.search}`, "plain", [good, result.high === null ? "" : `too much: ${textOf(result, result.high)}`, objectives]];
    }
    const isShown = wanted === null || result.meets_demand;
    const tone = result.capacity === null || !isShown ? "bad" : result.state === "found" ? "good" : "warn";
    return [
      `${result.headline[0].toUpperCase()}${result.headline.slice(1)}`,
      tone,
      [
        objectives,
        result.state === "found" && result.high !== null && result.why ? `At ${textOf(result, result.high)}: ${result.why}` : "",
        wanted === null ? "" : `At least ${textOf(result, wanted)} asked for: ${isShown ? "shown" : "not shown"}`,
      ],
    ];
  }

  function drawLaw(element, result) {
    const law = fastload.capacityCharts.lawOf(result);
    if (!law) {
      fill(element, el("p.none", null, `No law of scalability: ${result.scalability}.`));
      return;
    }
    const general = (value) => String(Number(value.toPrecision(3)));
    // A parameter that the fit holds at 0 has no error.
    const withError = (value, error, show) => (value === 0 && error === 0 ? "0" : `${show(value)} ± ${show(error)}`);
    fill(
      element,
      fastload.tables.facts([
        ["One at a time, λ", withError(law.rate_1, law.rate_1_error, (value) => `${count(value)}/s`)],
        ["Contention, σ", withError(law.sigma, law.sigma_error, general)],
        ["Coherence, κ", withError(law.kappa, law.kappa_error, general)],
        ["Fit", `R² ${units.fixed(law.r2, 3)}`],
        ["Peak", law.peak_n === null ? "none within ten times what was measured" : `${count(law.peak_per_s)}/s at ${count(law.peak_n)} requests in flight`],
        ["Twice the cores", `at most ${general(law.twice)} times as much`],
        ["Residuals", law.residuals.map((one) => `${one > 0 ? "+" : ""}${units.fixed(100 * one, 1)}%`).join(", ")],
      ]),
    );
  }

  // Where there are no figures, what was told of each step.
  function drawTold(element, { summary, timeline }) {
    const steps = summary.capacity ? [] : timeline.events.filter((one) => one.kind === "step");
    element.hidden = !steps.length;
    fill(element, steps.map((one) => el("li", null, `${units.moment(one.t)} ${one.text}`)));
  }

  return { make, isSearch };
})();
