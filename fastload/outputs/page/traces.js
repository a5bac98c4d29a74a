// What plotly draws for a figure of plot.js: lines, bands, stacks and heat maps, and how high its y axis has to be.
window.fastload = window.fastload || {};
fastload.traces = (() => {
  "use strict";
  const { color } = fastload.dom;
  const { axes } = fastload;
  // Of the height of a figure with lanes, what lies between two of them.
  const LANE_GAP = 0.1;

  // What plotly takes for markup in texts stays text.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  // A series as far as it reaches: level to the bounds `from` and `until` of what its first and last point stand for.
  function whole(each) {
    if (each.from === undefined || !each.x.length) return each;
    return {
      ...each,
      x: [each.from, ...each.x, each.until],
      y: [each.y[0], ...each.y, each.y.at(-1)],
    };
  }

  function lineTraces(one) {
    const all = one.series.map(whole);
    return all.flatMap((each) => {
      const ink = color(each.color);
      const isShown = !one.hidden.has(each.name);
      const y = one.isLog ? each.y.map((value) => (value > 0 ? value : null)) : each.y;
      const alone = y.map(
        (value, index) =>
          Boolean(each.dots) || (value !== null && (y[index - 1] ?? null) === null && (y[index + 1] ?? null) === null),
      );
      const trace = {
        type: "scatter",
        name: plain(each.name),
        hoverinfo: "skip",
        x: each.x,
        y,
        yaxis: laneAxis("y", each.lane),
        visible: isShown,
        connectgaps: false,
        mode: each.dots === "only" ? "markers" : alone.some(Boolean) && !each.stack ? "lines+markers" : "lines",
        line: { color: ink, width: each.width || 1.5, dash: each.dash || "solid" },
        marker: { color: ink, size: alone.map((is) => (is ? 5 : 0)), opacity: 1, line: { width: 0 } },
      };
      if (each.stack)
        Object.assign(trace, { stackgroup: "one", fillcolor: alpha(ink, 0.8), line: { width: 0.5, color: ink } });
      if (each.area) Object.assign(trace, { fill: "tozeroy", fillcolor: alpha(ink, 0.09) });
      const below = each.to && all.find((other) => other.name === each.to);
      return below && isShown && !one.hidden.has(below.name) ? [band(each, below, ink), trace] : [trace];
    });
  }

  // The area between two series, in one piece for each stretch without a gap.
  function band(upper, lower, ink) {
    const [x, y] = [[], []];
    let begin = null;
    for (let index = 0; index <= upper.x.length; index += 1) {
      const isThere = index < upper.x.length && upper.y[index] !== null && lower.y[index] !== null;
      if (isThere && begin === null) begin = index;
      if (isThere || begin === null) continue;
      const times = upper.x.slice(begin, index);
      x.push(...times, ...times.toReversed(), null);
      y.push(...upper.y.slice(begin, index), ...lower.y.slice(begin, index).reverse(), null);
      begin = null;
    }
    return {
      type: "scatter",
      mode: "lines",
      name: "",
      hoverinfo: "skip",
      x,
      y,
      yaxis: laneAxis("y", upper.lane),
      fill: "toself",
      fillcolor: alpha(ink, upper.tint || 0.15),
      line: { width: 0 },
    };
  }

  function heatTraces(one) {
    if (!one.heat) return [];
    const { x, y, z } = one.heat;
    return [
      {
        type: "heatmap",
        x,
        y,
        z: z.map((row) => row.map((value) => (value ? Math.log10(1 + value) : null))),
        showscale: false,
        hoverinfo: "skip",
        xgap: 0,
        ygap: 0,
        zmin: 0,
        colorscale: [0, 0.25, 0.5, 0.75, 1].map((at, index) => [at, color(`heat-${index}`)]),
      },
    ];
  }

  // The least value above 0 and the greatest of what is shown in a lane and within the zoom; stacked series add up.
  function extremes(one, lane = 0) {
    const [from, to] = one.group ? one.group.range() : [-Infinity, Infinity];
    let [least, most] = [Infinity, 0];
    const sums = new Map();
    for (const each of visible(one).filter((series) => (series.lane || 0) === lane)) {
      each.y.forEach((value, index) => {
        if (value === null || each.x[index] < from || each.x[index] > to) return;
        const sum = each.stack ? (sums.get(each.x[index]) || 0) + value : value;
        if (each.stack) sums.set(each.x[index], sum);
        if (value > 0) least = Math.min(least, value);
        most = Math.max(most, sum);
      });
    }
    return [least, most];
  }

  // How plotly calls the y axis of a lane, in a trace ("y2") or in a layout ("yaxis2").
  const laneAxis = (name, lane) => `${name}${lane ? lane + 1 : ""}`;

  // The y axes of a figure, by their names in a layout. `style` is what they have in common.
  function yAxes(one, style) {
    const { lanes } = one.spec;
    if (!lanes) return { yaxis: { ...style, ...yAxis(one), rangemode: "tozero" } };
    const room = 1 - LANE_GAP * (lanes.length - 1);
    const parts = lanes.reduce((sum, each) => sum + each.share, 0);
    const found = {};
    let top = 1;
    lanes.forEach((lane, index) => {
      const bottom = Math.max(0, top - (lane.share / parts) * room);
      const [, most] = extremes(one, index);
      const ticks = ((one.spec.height || 150) * (top - bottom)) / 36;
      found[laneAxis("yaxis", index)] = { ...style, ...axes.linear(most, ticks, lane.unit), type: "linear", domain: [bottom, top] };
      top = bottom - LANE_GAP;
    });
    return found;
  }

  // The name of each lane, above it on the left.
  function laneTitles(one, yAxes) {
    return (one.spec.lanes || []).map((lane, index) => ({
      text: plain(lane.title),
      xref: "paper",
      yref: "paper",
      x: 0,
      y: yAxes[laneAxis("yaxis", index)].domain[1],
      xanchor: "left",
      yanchor: "bottom",
      showarrow: false,
      font: { size: 11, color: color("soft") },
    }));
  }

  const marksOf = (one) => (one.spec.marked && one.data ? one.spec.marked(one.data) : []);
  const placeOf = (one, x) => (one.spec.axis === "log" ? Math.log10(x) : x);

  // Places on the x axis: a line at the first value of each, and a tint up to the last.
  function markShapes(one) {
    const whole = { xref: "x", yref: "paper", y0: 0, y1: 1 };
    // Plotly takes the value itself for a shape also on a log scale, and for a text its logarithm.
    return marksOf(one).flatMap(({ from, to }) => [
      ...(to > from ? [{ ...whole, type: "rect", layer: "below", x0: from, x1: to, line: { width: 0 }, fillcolor: alpha(color("bad"), 0.15) }] : []),
      { ...whole, type: "line", x0: from, x1: from, line: { width: 1.25, dash: "dash", color: color("soft") } },
    ]);
  }

  // Their texts are on the side where there is more room.
  function markTexts(one) {
    const xs = one.series.flatMap((each) => each.x);
    const middle = (placeOf(one, Math.min(...xs)) + placeOf(one, Math.max(...xs))) / 2;
    return marksOf(one).map(({ from, text }) => ({
      text: plain(text),
      x: placeOf(one, from),
      xref: "x",
      y: 1,
      yref: "paper",
      xanchor: placeOf(one, from) > middle ? "right" : "left",
      yanchor: "top",
      showarrow: false,
      bgcolor: color("bg"),
      font: { size: 11, color: color("ink") },
    }));
  }

  function yAxis(one) {
    const { spec } = one;
    if (spec.heat) {
      const { y } = one.heat;
      const range = [Math.log10(y[0]), Math.log10(y.at(-1))];
      return { ...axes.log(y[0], y.at(-1), spec.unit), type: "log", range };
    }
    const [least, most] = extremes(one);
    if (one.isLog && least < Infinity) return { ...axes.log(least, most, spec.unit), type: "log" };
    return {
      ...axes.linear(Math.max(most, spec.most ? spec.most(most) : 0), (spec.height || 150) / 40, spec.unit),
      type: "linear",
    };
  }

  function alpha(ink, share) {
    const hex = ink.replace("#", "");
    const [red, green, blue] = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
    return `rgba(${red},${green},${blue},${share})`;
  }

  const visible = (one) => one.series.filter((each) => !one.hidden.has(each.name));

  return { lines: lineTraces, heat: heatTraces, yAxes, laneAxis, laneTitles, markShapes, markTexts, visible };
})();
