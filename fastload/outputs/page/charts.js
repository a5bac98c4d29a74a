// The charts of one run, from the columns of `timeline` (fastload/model/timeline/timeline.py says what each is).
//
// fastload.charts.make() gives {element, group, figures, draw(data), update(data)}: the time bar and all charts below it,
// and the percentile curve, which has an axis of its own, in `curve`. `draw` draws everything, `update` what is seen.
window.fastload = window.fastload || {};
fastload.charts = (() => {
  "use strict";
  const { el } = fastload.dom;
  const { plot } = fastload;
  const { throughput, vus, latency, heat, errors, phases, curve } = fastload.loadCharts;
  const { generator, lag, machine, targetMemory, memory, network } = fastload.machineCharts;
  const overTime = [
    throughput,
    vus,
    latency,
    heat,
    errors,
    phases,
    generator,
    lag,
    machine,
    targetMemory,
    memory,
    network,
  ];

  // What the time bar shows of a run.
  function factsOf({ timeline: line }) {
    return {
      start: Math.min(0, ...line.t.slice(0, 1).map((end, index) => end - line.span[index])),
      end: line.t.length ? line.t.at(-1) : 1,
      phases: line.phases,
      events: line.events.filter((one) => one.kind !== "phase"),
      step: line.step_s,
      wall: line.wall_ms,
    };
  }

  function make() {
    const group = fastload.time.group();
    const figures = overTime.map((spec) => plot.figure(spec, group));
    const last = plot.figure(curve);
    return {
      group,
      figures,
      curve: last,
      element: el(
        "div.charts",
        null,
        plot.notice(),
        group.element,
        figures.map((one) => one.element),
      ),
      draw: (data) => {
        group.update(factsOf(data));
        for (const one of [...figures, last]) one.draw(data);
      },
      update: (data) => {
        group.update(factsOf(data));
        for (const one of [...figures, last]) one.update(data);
      },
    };
  }

  return { make, mean: fastload.columns.mean };
})();
