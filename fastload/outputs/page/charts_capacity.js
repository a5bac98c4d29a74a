// The charts of a capacity search: latency and throughput over the load, and the law of scalability over the requests in
// flight.
window.fastload = window.fastload || {};
fastload.capacityCharts = (() => {
  "use strict";
  const { units } = fastload;
  const { ms, count, percent } = units;
  const perSecond = (value) => `${count(value)}/s`;
  // How finely the fitted curve is drawn, and how far beyond what was measured, if its peak is there.
  const CURVE_POINTS = 80;
  const BEYOND = 3;

  const resultOf = ({ summary }) => summary.capacity;
  const loadText = (result, load) => (result.settings.by === "vus" ? units.numberOf(load, "VU") : perSecond(load));

  // The steps that say something of the target, by load. A load that was tried several times has its longest step.
  function stepsOf(result) {
    const found = new Map();
    for (const step of result.steps)
      if (step.outcome !== "generator" && step.load > 0 && !(found.get(step.load)?.seconds > step.seconds))
        found.set(step.load, step);
    return [...found.values()].sort((left, right) => left.load - right.load);
  }

  const generatorSteps = (result) => result.steps.filter((step) => step.outcome === "generator").length;

  // The answer on the axis of the load: a line at the capacity, and a tint up to the lowest load that was too much.
  function marked(data) {
    const result = resultOf(data);
    if (!result.capacity) return [];
    const text = `${result.state === "found" ? "capacity" : "at least"} ${loadText(result, result.capacity)}`;
    return [{ from: result.capacity, to: result.high ?? result.capacity, text }];
  }

  // The loads from which objectives on times bound them, as level lines.
  function boundsOf(result, steps) {
    const [first] = result.steps;
    const bounds = (first ? first.objectives : []).filter((one) => one.bound_ms !== null && one.bound_ms !== undefined);
    const [least, most] = [steps[0].load, steps.at(-1).load];
    return bounds.map((one) => ({
      name: `at most: ${one.text.slice(one.text.indexOf(": ") + 2)}`,
      x: [least, most],
      y: [one.bound_ms, one.bound_ms],
      color: "bad",
      dash: "dash",
      rest: ms(one.bound_ms),
    }));
  }

  function empty(data) {
    const steps = stepsOf(resultOf(data));
    if (steps.length) return null;
    return resultOf(data).steps.length ? "No step says anything about the target: its load was not made." : "No step has ended yet.";
  }

  const common = {
    axis: "log",
    restName: "at the capacity",
    xUnit: count,
    marked,
    empty,
  };

  // A series of one figure of the steps; in the legend is the one at the capacity.
  function series(result, steps, name, color, format, of, more) {
    const at = steps.find((step) => step.load === result.capacity);
    return { name, x: steps.map((step) => step.load), y: steps.map(of), color, dots: true, rest: at ? format(of(at)) : "-", ...more };
  }

  const latency = {
    ...common,
    id: "chart-capacity-latency",
    title: "Latency over the load",
    hint: "Response time of each step, over starts per second or VUs",
    height: 230,
    unit: ms,
    logarithmic: (data) => {
      const tops = stepsOf(resultOf(data)).map((step) => step.p99_ms).filter((value) => value > 0);
      return tops.length > 0 && Math.max(...tops) > 10 * Math.min(...tops);
    },
    series: (data) => {
      const result = resultOf(data);
      const steps = stepsOf(result);
      const one = (name, color, key) => series(result, steps, name, color, ms, (step) => step[key], { width: 1.75 });
      return [one("p50", "blue-3", "p50_ms"), one("p95", "blue-2", "p95_ms"), one("p99", "blue-1", "p99_ms"), ...boundsOf(result, steps)];
    },
    caption: (data) => {
      const result = resultOf(data);
      const left = generatorSteps(result);
      const words = result.capacity && result.high ? `Shaded: between ${loadText(result, result.capacity)}, which met the objectives, and ${loadText(result, result.high)}, which did not.` : "";
      return [words, left ? `${units.numberOf(left, "step")} in which the load was not made ${left === 1 ? "is" : "are"} left out.` : ""].filter(Boolean).join(" ");
    },
  };

  const throughput = {
    ...common,
    id: "chart-capacity-rate",
    title: "Throughput over the load",
    hint: "What was answered well each second, over starts per second or VUs",
    height: 190,
    unit: perSecond,
    series: (data) => {
      const result = resultOf(data);
      const steps = stepsOf(result);
      const offered = series(result, steps, "offered", "c7", perSecond, (step) => step.load, { dash: "dash", dots: false, width: 1.25 });
      const answered = series(result, steps, "answered well", "c1", perSecond, (step) => step.answered_per_s, { width: 2 });
      // Of a scenario with several requests, the starts are fewer than the answers.
      return result.settings.by === "rate" ? [answered, offered] : [answered];
    },
    caption: (data) => {
      const steps = stepsOf(resultOf(data));
      const most = steps.reduce((best, step) => (step.answered_per_s > best.answered_per_s ? step : best), steps[0]);
      return `Most: ${perSecond(most.answered_per_s)}, at ${loadText(resultOf(data), most.load)}.`;
    },
  };

  // What the law is fitted to: steps with a request in flight all the time (fastload/model/capacity/scalability.py).
  const pointsOf = (result) =>
    result.steps
      .filter((step) => step.in_flight >= 1 && step.answered_per_s > 0)
      .map((step) => [step.in_flight, step.answered_per_s])
      .sort((left, right) => left[0] - right[0] || left[1] - right[1]);

  const lawOf = (result) => (typeof result.scalability === "string" ? null : result.scalability);
  const rateAt = (law, n) => (law.rate_1 * n) / (1 + law.sigma * (n - 1) + law.kappa * n * (n - 1));

  const scalability = {
    id: "chart-capacity-law",
    title: "Scalability",
    hint: "Throughput over the requests in flight, and the Universal Scalability Law fitted to it",
    axis: "linear",
    height: 210,
    unit: perSecond,
    xUnit: count,
    restName: "most",
    marked: (data) => {
      const law = lawOf(resultOf(data));
      return law && law.peak_n ? [{ from: law.peak_n, to: law.peak_n, text: `peak ${perSecond(law.peak_per_s)} at ${count(law.peak_n)}` }] : [];
    },
    series: (data) => {
      const result = resultOf(data);
      const [points, law] = [pointsOf(result), lawOf(result)];
      const most = Math.max(...points.map(([, rate]) => rate));
      const found = [{ name: "steps", x: points.map(([n]) => n), y: points.map(([, rate]) => rate), color: "c1", dots: "only", rest: perSecond(most) }];
      if (!law) return found;
      const last = points.at(-1)[0];
      const end = law.peak_n ? Math.max(last, Math.min(1.15 * law.peak_n, BEYOND * last)) : last;
      const at = Array.from({ length: CURVE_POINTS + 1 }, (_, index) => 1 + ((end - 1) * index) / CURVE_POINTS);
      const curve = at.map((n) => rateAt(law, n));
      found.push({ name: "fitted", x: at, y: curve, color: "c2", width: 1.75, rest: perSecond(Math.max(...curve)) });
      return found;
    },
    caption: ({ summary: { capacity: result } }) => {
      const law = lawOf(result);
      return law ? `R² ${units.fixed(law.r2, 3)} over ${units.numberOf(law.residuals.length, "step")}; the furthest from the curve is ${percent(Math.max(...law.residuals.map(Math.abs)))} off.` : `No curve: ${result.scalability}.`;
    },
    empty: (data) => (pointsOf(resultOf(data)).length ? null : "No step had a request in flight all the time."),
  };

  return { figures: [latency, throughput, scalability], loadText, lawOf };
})();
