// A chart with its legend: the one look of all charts, of the report, the dashboard and the comparison.
//
// fastload.plot.figure(spec, group) makes a <figure>. `spec` has
//   id, title, hint      its name, and what it shows in some words
//   height               of the plot in px (150)
//   axis                 "time" (x in s), "percentile" (x is 1 / (1 - p)), or "log" or "linear" (x is a number of
//                        anything); of the last two `xUnit` says how x is written
//   unit                 how y is written: a function of a number
//   lanes                instead of a unit, for plots above each other: [{title, share (of the height), unit}], from
//                        the top; each series then has the number of its `lane`
//   series(data)         [{name, x, y, color, ...}]: `color` is a CSS variable's name, `width`, `dash`, `area`
//                        (filled to 0), `stack`, `to` (the name of the series that a band reaches down to, its `tint`),
//                        `hidden` at first, `quiet` (not in the legend), `from` and `until` (how far the line reaches
//                        beyond its first and last point). Series may have different x.
//   heat(data)           instead of lines: {x: edges, y: edges, z: rows of counts}
//   rest(series)         what the legend says while nothing is pointed at: a text; `restName` says what that is
//   caption(data)        one or two sentences with the numbers: the text alternative
//   marked(data)         places on the x axis of a chart without a group: [{from, to, text}]; `to` may be the same
//   empty(data)          why there is nothing to draw, or null
//   logarithmic(data)    for a y axis that may be switched to a log scale: whether it begins so
// and `group` is a fastload.time.group() for charts that share their time axis, or null.
//
// Without the chart library a figure has its legend and its numbers, and fastload.plot.notice() is an element that says
// why there are no lines, and what to do; it is null otherwise.
window.fastload = window.fastload || {};
fastload.plot = (() => {
  "use strict";
  const { el, fill, color } = fastload.dom;
  const { axes, units, traces } = fastload;
  const { visible } = traces;
  const figures = [];
  const isCoarse = matchMedia("(pointer: coarse)");
  const config = { displayModeBar: false, doubleClick: false, showTips: false, responsive: false, scrollZoom: false };
  const margin = { l: 66, r: 12, t: 8, b: 24 };

  function figure(spec, group = null) {
    const one = {
      spec,
      group,
      data: null,
      heat: null,
      series: [],
      known: new Set(),
      hidden: new Set(),
      cursor: null,
      dirty: false,
      isLog: null,
    };
    build(one);
    figures.push(one);
    if (group) group.join(one);
    watcher.observe(one.element);
    one.draw = (data) => draw(one, data);
    one.update = (data) => update(one, data);
    one.pointHere = (x) => pointHere(one, x);
    one.setTitle = (title) => setTitle(one, title);
    one.redraw = () => one.data && draw(one, one.data);
    return one;
  }

  function build(one) {
    const { spec } = one;
    const log = el(
      "button.quiet.log",
      {
        type: "button",
        "aria-pressed": "false",
        onclick: () => toggleLog(one),
      },
      "log",
    );
    one.log = log;
    one.title = el("h3", { id: `${spec.id}-title` });
    one.hint = el("p.hint", null, spec.hint || "");
    one.legend = el("ul.legend");
    one.caption = el("figcaption", { id: `${spec.id}-caption` });
    one.plot = el("div.plot", {
      id: spec.id,
      tabindex: "0",
      role: "group",
      "aria-roledescription": "chart",
      "aria-labelledby": `${spec.id}-title`,
      "aria-describedby": `${spec.id}-caption`,
      onkeydown: (event) => pressed(one, event),
      onblur: () => point(one, null),
    });
    // What arrow keys point at, said aloud; what comes with each second of a live page is not.
    one.said = el("p.unseen", { "aria-live": "polite" });
    one.line = el("div.cursor", { hidden: true });
    one.reason = el("p.reason", { hidden: true });
    one.element = el(
      "figure.chart",
      { "data-chart": spec.id },
      el(
        "div.side",
        null,
        el("div.head", null, one.title, spec.logarithmic ? log : null),
        one.hint,
        one.legend,
        one.caption,
      ),
      el("div.area", null, one.plot, one.line, one.reason, one.said),
    );
    one.plot.style.height = `${spec.height || 150}px`;
    setTitle(one, spec.title);
  }

  function setTitle(one, title) {
    one.title.textContent = title;
    one.log.setAttribute("aria-label", `Log scale for ${title}`);
    one.legend.setAttribute("aria-label", `Series of ${title}`);
  }

  function toggleLog(one) {
    setLog(one, !one.isLog);
    one.redraw();
  }

  function setLog(one, isLog) {
    one.isLog = isLog;
    one.log.setAttribute("aria-pressed", String(isLog));
  }

  const hasLibrary = () => typeof Plotly !== "undefined";
  // What is there without charts is closer together, and so are the ways to it.
  if (!hasLibrary()) document.documentElement.dataset.plain = "true";

  function notice() {
    if (hasLibrary()) return null;
    // A page in one file knows how it can be made again; any other page was sent by a server.
    const { again } = fastload;
    const what = again
      ? `the chart library in this file did not start. Open the file with a current version of Chrome, Edge, Firefox or Safari. If it was changed on its way here: ${again}`
      : "the chart library did not come from the server. Load the page again.";
    return el("p.notice", { role: "note" }, `No charts: ${what} The figures and the tables are complete.`);
  }

  function draw(one, data) {
    const { spec } = one;
    one.data = data;
    const reason = spec.empty ? spec.empty(data) : null;
    const missing = reason || (hasLibrary() ? "" : "Not drawn: the chart library is missing.");
    one.reason.hidden = !missing;
    one.reason.textContent = missing;
    one.plot.hidden = Boolean(missing);
    one.element.classList.toggle("is-empty", Boolean(reason));
    one.caption.textContent = reason ? "" : spec.caption ? spec.caption(data) : "";
    one.series = reason ? [] : spec.series(data);
    for (const each of one.series) {
      if (each.hidden && !one.known.has(each.name)) one.hidden.add(each.name);
      one.known.add(each.name);
    }
    one.log.hidden = Boolean(reason);
    if (!reason && one.isLog === null && spec.logarithmic) setLog(one, spec.logarithmic(data));
    drawLegend(one);
    if (missing || !one.plot.isConnected) return;
    one.dirty = false;
    one.heat = spec.heat ? spec.heat(data) : null;
    Plotly.react(one.plot, [...traces.heat(one), ...traces.lines(one)], layout(one), config);
    listen(one);
    if (one.cursor !== null) pointHere(one, one.cursor);
  }

  function layout(one) {
    const { spec } = one;
    const width = one.plot.clientWidth;
    const isNarrow = width < 480;
    const ink = color("soft");
    const axis = {
      gridcolor: color("grid"),
      gridwidth: 1,
      zeroline: false,
      showline: false,
      ticks: "outside",
      ticklen: 4,
      tickcolor: "rgba(0,0,0,0)",
      automargin: false,
      fixedrange: true,
      tickfont: { size: 11, color: ink },
      tickmode: "array",
      tickangle: 0,
    };
    const x = xAxis(one, isNarrow ? 4 : 9);
    const y = traces.yAxes(one, axis);
    const last = traces.laneAxis("y", (spec.lanes || [0]).length - 1);
    return {
      width,
      height: spec.height || 150,
      margin: { ...margin, ...(isNarrow ? { l: 60 } : {}), ...(spec.lanes ? { t: 20 } : {}) },
      showlegend: false,
      autosize: false,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 11, color: ink },
      hovermode: false,
      dragmode: one.group && !isCoarse.matches ? "zoom" : false,
      selectdirection: "h",
      uirevision: "kept",
      xaxis: { ...axis, ...x, anchor: last, showgrid: spec.axis !== "time", fixedrange: !one.group || isCoarse.matches },
      ...y,
      annotations: [...traces.laneTitles(one, y), ...traces.markTexts(one)],
      shapes: one.group && spec.marks !== false ? one.group.shapes() : traces.markShapes(one),
    };
  }

  function xAxis(one, wanted) {
    if (one.group) {
      const [from, to] = one.group.range();
      const scale = axes.time(from, to, wanted);
      return { ...scale, type: "linear" };
    }
    const most = Math.max(1, ...one.series.map((each) => each.x.at(-1) || 1));
    if (one.spec.axis === "linear") return { ...axes.linear(most, wanted, one.spec.xUnit), type: "linear" };
    if (one.spec.axis === "log") {
      const least = Math.min(most, ...one.series.flatMap((each) => each.x.slice(0, 1)));
      return { ...axes.log(least, most, one.spec.xUnit), type: "log" };
    }
    return { ...axes.percentiles(most, 48 / one.plot.clientWidth), type: "log" };
  }

  function drawLegend(one) {
    const { spec } = one;
    const shown = one.series.filter((each) => !each.quiet);
    const key = JSON.stringify(shown.map((each) => [each.name, each.color, each.dash]));
    if (one.legendKey !== key) {
      one.legendKey = key;
      fill(
        one.legend,
        spec.restName && shown.length ? el("li.rest", null, spec.restName) : null,
        shown.map((each) => legendItem(one, each)),
      );
      one.rest = one.legend.querySelector(".rest");
    }
    drawValues(one);
  }

  function legendItem(one, each) {
    const swatch = el(`span.swatch${each.dash ? ".dashed" : ""}`, {
      style: `--swatch: var(--${each.color})`,
      "aria-hidden": "true",
    });
    const button = el(
      "button",
      {
        type: "button",
        "aria-pressed": String(!one.hidden.has(each.name)),
        onclick: () => toggle(one, each.name, button),
      },
      swatch,
      el("span.name", null, each.name),
      el("span.value", null),
    );
    return el("li", null, button);
  }

  function toggle(one, name, button) {
    if (one.hidden.has(name)) one.hidden.delete(name);
    else one.hidden.add(name);
    button.setAttribute("aria-pressed", String(!one.hidden.has(name)));
    one.redraw();
  }

  function drawValues(one) {
    const values = one.legend.querySelectorAll(".value");
    one.series
      .filter((each) => !each.quiet)
      .forEach((each, index) => {
        if (values[index]) values[index].textContent = one.cursor === null ? restOf(one, each) : valueAt(one, each);
      });
    if (one.rest) one.rest.textContent = one.cursor === null ? one.spec.restName : where(one);
  }

  const restOf = (one, each) => (each.rest !== undefined ? each.rest : one.spec.rest ? one.spec.rest(each) : "");

  function valueAt(one, each) {
    const value = each.y[axes.nearest(each.x, one.cursor)];
    const { lanes, unit } = one.spec;
    return value === null || value === undefined ? "-" : (lanes ? lanes[each.lane || 0].unit : unit)(value);
  }

  const where = (one) =>
    one.group ? `at ${units.moment(one.cursor)}` : one.spec.xUnit ? `at ${one.spec.xUnit(one.cursor)}` : `p${percentOf(one.cursor)}`;

  // What plotly's x axis counts in: powers of ten on a log scale.
  const isEven = (one) => Boolean(one.group) || one.spec.axis === "linear";

  function percentOf(level) {
    const percent = 100 * (1 - 1 / level);
    return level >= 1e9 ? "100" : String(Number(percent.toFixed(Math.max(2, Math.ceil(Math.log10(level))))));
  }

  // Show the values at x, or those of rest for null; charts of a group do it together.
  function point(one, x) {
    if (one.group) one.group.point(x);
    else pointHere(one, x);
  }

  function pointHere(one, x) {
    one.cursor = x;
    drawValues(one);
    const full = one.plot._fullLayout;
    const isShown = x !== null && full && full.xaxis && !one.plot.hidden;
    one.line.hidden = !isShown;
    if (!isShown) return;
    const at = full.xaxis.l2p(isEven(one) ? x : Math.log10(x));
    one.line.hidden = at < -1 || at > full.xaxis._length + 1;
    one.line.style.left = `${full._size.l + at}px`;
    one.line.style.top = `${full._size.t}px`;
    one.line.style.height = `${full._size.h}px`;
  }

  function listen(one) {
    if (one.listens) return;
    one.listens = true;
    one.plot.addEventListener("pointermove", (event) => pointed(one, event));
    one.plot.addEventListener("pointerdown", (event) => pointed(one, event));
    one.plot.addEventListener("pointerleave", () => point(one, null));
    one.plot.on("plotly_relayout", (change) => {
      const [from, to] = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
      if (one.group && from !== undefined) one.group.zoom(from, to);
    });
    one.plot.on("plotly_doubleclick", () => one.group && one.group.reset());
  }

  function pointed(one, event) {
    const full = one.plot._fullLayout;
    if (!full || !full.xaxis) return;
    const at = event.clientX - one.plot.getBoundingClientRect().left - full._size.l;
    const linear = full.xaxis.p2l(at);
    point(one, at < 0 || at > full.xaxis._length ? null : snapped(one, isEven(one) ? linear : 10 ** linear));
  }

  function snapped(one, x) {
    const first = visible(one)[0] || one.series[0];
    const index = first ? axes.nearest(first.x, x) : -1;
    return index < 0 ? x : first.x[index];
  }

  // Arrows go from point to point, + and - zoom, 0 shows all, Escape lets go.
  function pressed(one, event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const zooms = {
      "+": () => one.group.scale(0.5),
      "=": () => one.group.scale(0.5),
      "-": () => one.group.scale(2),
      0: () => one.group.reset(),
    };
    if (step) stepTo(one, step * (event.shiftKey ? 10 : 1));
    else if (event.key === "Escape") point(one, null);
    else if (one.group && zooms[event.key] && !event.ctrlKey && !event.metaKey) zooms[event.key]();
    else return;
    event.preventDefault();
  }

  function stepTo(one, step) {
    const first = visible(one)[0] || one.series[0];
    if (!first || !first.x.length) return;
    const [from, to] = one.group ? one.group.range() : [-Infinity, Infinity];
    const start = step > 0 ? axes.nearest(first.x, from) - 1 : axes.nearest(first.x, to) + 1;
    const index = (one.cursor === null ? Math.max(-1, start) : axes.nearest(first.x, one.cursor)) + step;
    point(one, first.x[Math.max(0, Math.min(first.x.length - 1, index))]);
    const values = one.series.filter((each) => !each.quiet && !one.hidden.has(each.name));
    one.said.textContent = [where(one), ...values.map((each) => `${each.name} ${valueAt(one, each)}`)].join(", ");
  }

  // Draw again what is seen, and the rest when it is: a live page has no time to waste.
  const watcher = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        const one = figures.find((each) => each.element === entry.target);
        if (!one) continue;
        one.isSeen = entry.isIntersecting;
        if (one.isSeen && one.dirty) one.redraw();
      }
    },
    { rootMargin: "200px" },
  );

  function update(one, data) {
    one.data = data;
    if (one.isSeen) draw(one, data);
    else one.dirty = true;
  }

  // Figures of a page that was drawn anew are forgotten.
  function redrawAll() {
    for (const one of figures.filter((each) => !each.element.isConnected)) watcher.unobserve(one.element);
    figures.splice(0, figures.length, ...figures.filter((each) => each.element.isConnected));
    for (const one of figures) one.redraw();
  }

  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    requestAnimationFrame(redrawAll);
  });
  fastload.dom.onTheme(redrawAll);

  // Paper is white and narrower than a screen: charts are drawn for it.
  function onPaper(isOn) {
    if (document.documentElement.classList.contains("paper") === isOn) return;
    document.documentElement.classList.toggle("paper", isOn);
    redrawAll();
  }
  window.addEventListener("beforeprint", () => onPaper(true));
  window.addEventListener("afterprint", () => onPaper(false));
  matchMedia("print").addEventListener("change", (event) => onPaper(event.matches));

  return { figure, notice, redrawAll, figures };
})();
