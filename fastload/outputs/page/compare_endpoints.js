// The endpoints of several runs over time, in one chart: what `fastload.endpointCharts` draws for a page of a comparison.
//
// An endpoint has one colour, and each side a dash of its own; of a side with several runs each is drawn.
window.fastload = window.fastload || {};
fastload.comparedEndpoints = (() => {
  "use strict";
  const { units } = fastload;
  const dashes = ["dot", undefined, "dash", "dashdot", "longdash", "longdashdot"];
  // The places of colours are those of `fastload.endpointCharts`. Two endpoints of two sides are four lines.
  const SHOWN = 2;

  // The endpoints of all runs: `label`, and the `runs` that have it, each with its side. The most frequent ones come first.
  function linesOf({ sides }) {
    const found = new Map();
    sides.forEach((side, index) =>
      side.lines.forEach(({ endpoints }, number) =>
        endpoints.lines.forEach((line, rank) => {
          if (!found.has(line.label)) found.set(line.label, { label: line.label, rank, runs: [], failed_rate: [] });
          const one = found.get(line.label);
          one.rank = Math.min(one.rank, rank);
          one.runs.push({ side, index, number, endpoints, line });
          one.failed_rate.push(...line.failed_rate);
        }),
      ),
    );
    return [...found.values()].sort((left, right) => left.rank - right.rank);
  }

  function seriesOf({ metric, rest, unit, color }, { label, runs }) {
    return runs.map(({ side, index, number, endpoints, line }) =>
      fastload.columns.series(endpoints, `${side.label} ${label}`, line[metric], color, unit, rest, null, {
        width: side.lines.length > 1 ? 1.1 : 1.75,
        dash: dashes[index % dashes.length],
        quiet: number > 0,
      }),
    );
  }

  function source(data) {
    const lines = linesOf(data);
    const left = Math.max(...data.sides.flatMap((side) => side.lines.map((line) => line.endpoints.left_out)));
    return {
      shown: SHOWN,
      lines: () => lines,
      left: () => left,
      restName: (metric) => (metric.rest === "mean" ? "mean" : "highest"),
      series: seriesOf,
      caption: (_, { unit }) => `${data.sides[0].label} is dotted.${unit === units.ms ? " Latency is from sent to done, of calls from begun to done." : ""}`,
    };
  }

  return { source };
})();
