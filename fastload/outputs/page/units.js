// Numbers for people, exactly as fastload/model/units.py writes them: a figure reads the same here as in the terminal.
window.fastload = window.fastload || {};
fastload.units = (() => {
  "use strict";

  // As Python rounds: a value right between two goes to the even one.
  function fixed(value, digits) {
    const ties = value * 2 ** (digits + 1);
    if (digits < 20 && Number.isInteger(ties) && ties % 2 !== 0) {
      const scaled = value * 10 ** digits;
      const below = Math.floor(scaled);
      return ((below % 2 === 0 ? below : below + 1) / 10 ** digits).toFixed(digits);
    }
    return value.toFixed(digits);
  }

  const whole = (value) => Number(fixed(value, 0));
  const thousands = (text) => text.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  const twoDigits = (value) => String(value).padStart(2, "0");
  const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

  function threeDigits(value) {
    const magnitude = Math.abs(value);
    if (magnitude >= 99.95) return fixed(value, 0);
    return fixed(value, magnitude >= 9.995 ? 1 : 2);
  }

  function general(value) {
    const exponent = Number(value.toExponential(2).split("e")[1]);
    // Without an exponent: one start in 20,000 s is 0.00005 a second.
    if (exponent >= -9 && exponent < 3) return fixed(value, 2 - exponent).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
    const [mantissa, power] = value.toExponential(2).split("e");
    return `${Number(mantissa)}e${power[0]}${power.slice(1).padStart(2, "0")}`;
  }

  function ms(value) {
    if (!isNumber(value)) return "-";
    if (value === 0) return "0s";
    if (Math.abs(value) < 0.9995) return `${threeDigits(value * 1e3)}µs`;
    if (Math.abs(value) < 999.5) return `${threeDigits(value)}ms`;
    if (Math.abs(value) < 59950) return `${threeDigits(value / 1e3)}s`;
    const seconds = whole(value / 1e3);
    return `${Math.floor(seconds / 60)}m${twoDigits(seconds % 60)}s`;
  }

  function duration(seconds) {
    if (!isNumber(seconds)) return "-";
    if (seconds < 10 && !Number.isInteger(seconds)) return ms(seconds * 1e3);
    const all = whole(seconds);
    if (all < 60) return `${all}s`;
    const minutes = Math.floor(all / 60);
    if (minutes < 60) return all % 60 ? `${minutes}m${twoDigits(all % 60)}s` : `${minutes}m`;
    return `${Math.floor(minutes / 60)}h${twoDigits(minutes % 60)}m`;
  }

  function count(value) {
    if (!isNumber(value)) return "-";
    if (Number.isInteger(value) || Math.abs(value) >= 999.5) return thousands(fixed(value, 0));
    return general(value);
  }

  const numberOf = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;

  function bytes(value) {
    if (!isNumber(value)) return "-";
    let size = value;
    for (const unit of ["B", "kB", "MB", "GB"]) {
      if (Math.abs(size) < 999.5) return `${unit === "B" ? fixed(size, 0) : threeDigits(size)} ${unit}`;
      size /= 1000;
    }
    return `${threeDigits(size)} TB`;
  }

  function percent(ratio) {
    if (!isNumber(ratio)) return "-";
    const value = ratio * 100;
    if (value > 0 && value < 0.01) return "<0.01%";
    if (value > 99.99 && value < 100) return ">99.99%";
    return `${fixed(value, 2)}%`;
  }

  const cpu = (value) => (isNumber(value) ? `${fixed(value, 0)}%` : "-");

  const msOfUnit = { us: 1e-3, ms: 1, s: 1e3 };

  // A value of a metric whose unit is `unit`.
  function of(unit, value) {
    if (!isNumber(value)) return "-";
    if (unit in msOfUnit) return ms(value * msOfUnit[unit]);
    return unit === "bytes" ? bytes(value) : count(value);
  }

  const perSecond = (unit, value) => (isNumber(value) ? `${unit === "bytes" ? bytes(value) : count(value)}/s` : "-");

  // ` (unit)` where the values do not show their unit themselves.
  const label = (unit) => (!unit || unit in msOfUnit || unit === "bytes" ? "" : ` (${unit})`);

  // Seconds since the start as a clock: 1:05, 1:02:05.
  function clock(seconds) {
    const all = Math.max(0, whole(seconds));
    const hours = Math.floor(all / 3600);
    const minutes = Math.floor(all / 60) % 60;
    return `${hours ? `${hours}:${twoDigits(minutes)}` : minutes}:${twoDigits(all % 60)}`;
  }

  // The second that a moment is in, as a clock.
  const moment = (seconds) => clock(Math.floor(seconds + 1e-6));

  return { ms, duration, count, numberOf, bytes, percent, cpu, of, perSecond, label, clock, moment, isNumber, fixed };
})();
