// Helpers for charts of the columns of a run's timeline: how a column is written, summed up, and made a series.
window.fastload = window.fastload || {};
fastload.columns = (() => {
  "use strict";
  const { units } = fastload;
  const { bytes, count } = units;
  const bytesPerSecond = (value) => `${bytes(value)}/s`;
  const perSecond = (value) => `${count(value)}/s`;
  const cpu = (value) => `${count(value)}%`;

  const has = (column) => Boolean(column) && column.some((value) => value !== null);
  const some = (column) => Boolean(column) && column.some((value) => value > 0);
  const peakOf = (column) =>
    column.reduce((best, value, index) => (value !== null && (best < 0 || value > column[best]) ? index : best), -1);

  // The mean over time of a column.
  function mean(line, column) {
    let [sum, seconds] = [0, 0];
    column.forEach((value, index) => {
      if (value === null) return;
      sum += value * line.span[index];
      seconds += line.span[index];
    });
    return seconds ? sum / seconds : null;
  }

  function peak(line, column, format) {
    const index = peakOf(column);
    return index < 0 ? "none" : `${format(column[index])} at ${units.clock(line.t[index])}`;
  }

  // A single row is drawn as long as it is: a point at the edge would not be seen.
  function points(line, column) {
    if (line.t.length !== 1) return { x: line.t, y: column };
    return { x: [line.t[0] - line.span[0], line.t[0]], y: [column[0], column[0]] };
  }

  // A series of a column. In the legend is what the summary says of it (`known`), or else the mean or the peak of it.
  function series(line, name, column, colour, format, rest, known, more = {}) {
    const index = peakOf(column);
    const found = rest === "mean" ? mean(line, column) : index < 0 ? null : column[index];
    const value = known ?? found;
    return { name, ...points(line, column), color: colour, rest: value === null ? "-" : format(value), ...more };
  }

  const metricOf = (summary, name) => (summary.metrics || {})[name] || {};

  // A mean or greatest value of the host or the target in the summary.
  const used = (summary, who, what, name) => ((summary[who] || {})[what] || {})[name];

  return { bytesPerSecond, perSecond, cpu, has, some, mean, peak, points, series, metricOf, used };
})();
