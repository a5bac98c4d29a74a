// Charts that share their time axis: zoom in one zooms all, the cursor of one is that of all, and the phases of the load
// stand above them.
//
// fastload.time.group() makes one; `group.element` is the strip with phases and buttons, `group.update({start, end, phases,
// events, step, wall})` says what there is: times in s, how long a point stands for (1 s), and the wall clock at 0 s in
// ms, if it is known.
window.fastload = window.fastload || {};
fastload.time = (() => {
  "use strict";
  const { el, fill, color } = fastload.dom;
  const { units } = fastload;

  function group() {
    const one = { members: [], all: [0, 1], zoomed: null, phases: [], events: [], step: 1, cursor: null, wall: null };
    build(one);
    return Object.assign(one, {
      join: (member) => one.members.push(member),
      range: () => one.zoomed || one.all,
      zoom: (from, to) => zoom(one, from, to),
      scale: (factor) => scale(one, factor),
      reset: () => show(one, null),
      point: (x) => point(one, x),
      shapes: () => shapes(one),
      update: (facts) => update(one, facts),
    });
  }

  function build(one) {
    const button = (name, label, action) =>
      el("button", { type: "button", "aria-label": label, onclick: action }, name);
    one.strip = el("div.phases", { "aria-hidden": "true" });
    one.now = el("span.now");
    one.out = button("−", "Zoom out", () => scale(one, 2));
    one.full = button("Whole run", "Show the whole run", () => show(one, null));
    one.element = el(
      "div.timebar",
      { role: "toolbar", "aria-label": "Time shown in the charts" },
      el(
        "div.tools",
        null,
        one.now,
        button("◂", "Earlier", () => shift(one, -0.5)),
        button("▸", "Later", () => shift(one, 0.5)),
        button("+", "Zoom in", () => scale(one, 0.5)),
        one.out,
        one.full,
      ),
      el("div.lane", null, one.strip),
    );
  }

  function update(one, { start, end, phases, events, step, wall }) {
    one.all = [start, end > start ? end : start + 1];
    one.phases = phases;
    one.events = events;
    one.step = step || 1;
    one.wall = wall;
    drawStrip(one);
  }

  function zoom(one, from, to) {
    const [first, last] = one.all;
    const least = Math.min(2, last - first);
    const middle = (from + to) / 2;
    const span = Math.max(least, Math.min(last - first, to - from));
    const begin = Math.max(first, Math.min(last - span, middle - span / 2));
    show(one, span >= (last - first) * 0.999 ? null : [begin, begin + span]);
  }

  function scale(one, factor) {
    const [from, to] = one.zoomed || one.all;
    const middle = one.cursor === null ? (from + to) / 2 : one.cursor;
    zoom(one, middle - ((to - from) * factor) / 2, middle + ((to - from) * factor) / 2);
  }

  function shift(one, share) {
    const [from, to] = one.zoomed || one.all;
    zoom(one, from + (to - from) * share, to + (to - from) * share);
  }

  function show(one, range) {
    one.zoomed = range;
    drawStrip(one);
    for (const member of one.members) member.redraw();
  }

  function point(one, x) {
    one.cursor = x;
    drawNow(one);
    for (const member of one.members) member.pointHere(x);
  }

  function drawNow(one) {
    const [from, to] = one.zoomed || one.all;
    one.out.disabled = one.full.disabled = !one.zoomed;
    one.now.textContent = one.cursor === null ? `${units.clock(from)} to ${units.clock(to)}` : at(one);
  }

  function at(one) {
    const phase = one.phases
      .filter((each) => each.from <= one.cursor && one.cursor <= each.to)
      .map((each) => each.name);
    const clock = one.wall === null ? "" : ` · ${new Date(one.wall + one.cursor * 1000).toLocaleTimeString("en-GB")}`;
    const events = one.events.filter((each) => Math.abs(each.t - one.cursor) <= one.step / 2).map((each) => each.text);
    return [`${units.moment(one.cursor)}${clock}`, phase.join(", "), ...events].filter(Boolean).join(" · ");
  }

  // One row of blocks for each lane; events are marks on the last.
  function drawStrip(one) {
    const [from, to] = one.zoomed || one.all;
    const share = (time) => `${((time - from) / (to - from)) * 100}%`;
    const lanes = [...new Set(one.phases.map((each) => each.lane))].sort((left, right) => left - right);
    const blocks = one.phases
      .map((each) => ({ ...each, from: Math.max(from, each.from), to: Math.min(to, each.to) }))
      .filter((each) => each.to > each.from)
      .map((each) =>
        el(
          `span.phase.${each.kind}`,
          {
            title: each.name,
            style: `left: ${share(each.from)}; width: calc(${share(from + each.to - each.from)} - 1px); top: ${lanes.indexOf(each.lane) * 18}px`,
          },
          each.name,
        ),
      );
    const marks = one.events
      .filter((each) => each.t >= from && each.t <= to)
      .map((each) => el("span.event", { title: each.text, style: `left: ${share(each.t)}` }));
    one.strip.style.height = `${Math.max(1, lanes.length) * 18}px`;
    fill(one.strip, blocks, marks);
    drawNow(one);
  }

  // For plotly: every other phase lightly tinted, those without load a little more; events are dotted lines.
  function shapes(one) {
    const tint = { "warm-up": "tint-2", stop: "tint-2", paused: "tint-3" };
    const whole = one.phases.filter((each) => each.lane === 0);
    const rects = whole.map((each, index) => ({
      type: "rect",
      layer: "below",
      xref: "x",
      yref: "paper",
      y0: 0,
      y1: 1,
      x0: each.from,
      x1: each.to,
      line: { width: 0 },
      fillcolor: tint[each.kind] ? color(tint[each.kind]) : index % 2 ? color("tint-1") : "rgba(0,0,0,0)",
    }));
    const lines = one.events.map((each) => ({
      type: "line",
      xref: "x",
      yref: "paper",
      y0: 0,
      y1: 1,
      x0: each.t,
      x1: each.t,
      line: { width: 1, dash: "dot", color: color("event") },
    }));
    return [...rects, ...lines];
  }

  return { group };
})();
