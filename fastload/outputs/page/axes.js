// Scales with round numbers on them: ticks, ranges, and where a value is on them.
window.fastload = window.fastload || {};
fastload.axes = (() => {
  "use strict";
  const units = fastload.units;
  const timeSteps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];

  function niceStep(span, wanted) {
    const rough = span / Math.max(1, wanted);
    const power = 10 ** Math.floor(Math.log10(rough));
    const factor = [1, 2, 2.5, 5, 10].find((one) => one * power >= rough * 0.999) || 10;
    return factor * power;
  }

  // A linear scale from 0 (or from `least`) that holds `most`, with about `wanted` ticks.
  function linear(most, wanted, format, least = 0) {
    const top = most > least ? most : least + 1;
    const step = niceStep(top - least, wanted);
    const end = Math.ceil((top - least) / step - 1e-9) * step + least;
    const values = [];
    for (let index = 0; least + index * step <= end * (1 + 1e-12); index += 1) values.push(least + index * step);
    const texts = values.map(format);
    // Fewer ticks, or a longer scale, where their texts cannot tell them apart: there is no half byte.
    if (new Set(texts).size < texts.length)
      return wanted > 1
        ? linear(most, wanted / 2, format, least)
        : linear(least + 2 * (top - least), wanted, format, least);
    return { range: [least, end + (end - least) * 0.04], tickvals: values, ticktext: texts };
  }

  // A log scale, as tight as the values allow; its range is in powers of ten, as plotly wants it.
  function log(least, most, format) {
    const middle = (Math.log10(least) + Math.log10(most)) / 2;
    const half = Math.max(0.5, (Math.log10(most) - Math.log10(least)) / 2 + 0.12);
    const [from, to] = [middle - half, middle + half];
    const factors = to - from <= 2.4 ? [1, 2, 5] : [1];
    const values = [];
    for (let power = Math.floor(from); power <= to; power += 1)
      values.push(...factors.map((factor) => factor * 10 ** power));
    const shown = values.filter((value) => Math.log10(value) >= from && Math.log10(value) <= to);
    return { range: [from, to], tickvals: shown, ticktext: shown.map(format) };
  }

  // Time from `from` to `to` seconds.
  function time(from, to, wanted) {
    const span = Math.max(to - from, 1e-3);
    const step = timeSteps.find((one) => span / one <= wanted) || timeSteps.at(-1);
    const values = [];
    for (let index = Math.ceil(from / step - 1e-9); index * step <= to + 1e-9; index += 1) values.push(index * step);
    const text = (value) => (step < 1 ? `${units.fixed(value, 1)}s` : units.clock(value));
    return { range: [from, to], tickvals: values, ticktext: values.map(text) };
  }

  // Percentiles on the axis of 1 / (1 - p), up to `count` values, with labels at least `apart` powers of ten apart.
  function percentiles(count, apart) {
    const range = [0, Math.max(Math.log10(count), 0.31)];
    const marks = [
      [1, "0"],
      [10, "90"],
    ];
    for (let power = 2; power <= 9; power += 1)
      marks.push([10 ** power, power === 2 ? "99" : `99.${"9".repeat(power - 2)}`]);
    marks.push([2, "50"], [20, "95"], [4, "75"]);
    const shown = [];
    for (const [level, name] of marks) {
      const isFree = shown.every(([other]) => Math.abs(Math.log10(level / other)) >= apart * (range[1] - range[0]));
      if (level <= count * 1.001 && isFree) shown.push([level, name]);
    }
    return { range, tickvals: shown.map(([level]) => level), ticktext: shown.map(([, name]) => `p${name}`) };
  }

  // The index of the value of the ascending `values` that is nearest to `wanted`; -1 without any.
  function nearest(values, wanted) {
    let low = 0;
    let high = values.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (values[middle] < wanted) low = middle + 1;
      else high = middle;
    }
    if (low > 0 && wanted - values[low - 1] <= values[low] - wanted) return low - 1;
    return values.length ? low : -1;
  }

  return { linear, log, time, percentiles, nearest };
})();
