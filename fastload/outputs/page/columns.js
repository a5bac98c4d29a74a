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
    return index < 0 ? "none" : `${format(column[index])} at ${units.moment(middle(line, index))}`;
  }

  const middle = (line, index) => line.t[index] - line.span[index] / 2;

  // A row is of a window of time, and its point in the middle of that. `from` and `until` are the bounds of all windows:
  // the line is drawn up to them, level within the first and the last half of a window.
  function points(line, column) {
    return {
      x: line.t.map((_, index) => middle(line, index)),
      y: column,
      from: line.t.length ? line.t[0] - line.span[0] : 0,
      until: line.t.length ? line.t.at(-1) : 0,
    };
  }

  // A series of a column. In the legend is what the summary says of it (`known`), or else the mean or the peak of it.
  function series(line, name, column, colour, format, rest, known, more = {}) {
    const index = peakOf(column);
    const found = rest === "mean" ? mean(line, column) : index < 0 ? null : column[index];
    const value = known ?? found;
    return { name, ...points(line, column), color: colour, rest: value === null ? "-" : format(value), ...more };
  }

  // What the latencies of a run are of (`of` in the timeline): its metrics, and how they are called.
  const subjects = {
    http_req: {
      noun: "Requests",
      count: "http_reqs",
      failed: "http_req_failed",
      service: "http_req_duration",
      response: "http_req_response_time",
      name: "service",
      clock: "sent to done",
    },
    call: {
      noun: "Calls",
      count: "calls",
      failed: "call_failed",
      service: "call_duration",
      response: "call_response_time",
      name: "service",
      clock: "begun to done",
    },
    ws: {
      noun: "WebSockets",
      count: "ws_sessions",
      failed: "ws_failed",
      service: "ws_connecting",
      name: "opening",
      clock: "asked to open",
    },
    stream: {
      noun: "Stream events",
      count: "stream_events",
      failed: "http_req_failed",
      service: "stream_first_event",
      name: "first event",
      clock: "sent to first event",
    },
  };

  const metricOf = (summary, name) => (summary.metrics || {})[name] || {};

  // WebSocket messages per second, both ways, as the summary has them: `get` gives a metric of it.
  const messageRate = (get) => (get("ws_msgs_sent").rate || 0) + (get("ws_msgs_received").rate || 0);

  // A mean or greatest value of the host or the target in the summary.
  const used = (summary, who, what, name) => ((summary[who] || {})[what] || {})[name];

  return { bytesPerSecond, perSecond, cpu, has, some, mean, peak, points, series, subjects, metricOf, messageRate, used };
})();
