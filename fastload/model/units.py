"""Parsers and formatters of numbers with units, like "10s". No other module knows how these are written."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from numbers import Real
from typing import Any

from fastload.model.errors import PlanError
from fastload.model.names import as_text

_DURATION_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h|d)")
_NUMBER_SUFFIX = {"": 1.0, "k": 1e3, "m": 1e6, "M": 1e6}
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kKmM]?)(?:/([0-9]+(?:\.[0-9]+)?)?(s|sec|m|min|h|d)?)?")
_BYTES = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kKMG]i?)?B?")
_BYTES_UNIT = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(%?)")
_RATE_UNIT_S = {None: 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
LONGEST_DURATION_S = 100 * 365 * 86_400.0
"""Longest duration: in nanoseconds it still fits into 64 bits."""
FASTEST_RATE_PER_S = 1e7
"""Highest rate. A higher one is a typing error: no machine starts so many."""
MOST_BYTES = 2**63 - 1
# No number with a unit is longer. Longer texts are not looked at: each regular expression ends soon.
_LONGEST_TEXT = 200
# Far above what a load model takes, which says how many that are.
_MOST_VUS_WRITTEN = 10**12
# Smaller numbers are nothing that anybody counts, and have an exponent.
_LEAST_FIXED = 1e-9


def parse_duration_s(text: str, *, what: str = "duration") -> float:
    """Parse a duration in seconds: a number with a unit, or several ("1m30s", "500ms", "0s").

    Raises:
        PlanError: no unit, an unknown unit, not a number, or over a hundred years. *what* names the option in the
            message.
    """
    text = as_text(text, what).strip()
    parts = _DURATION_PART.findall(text[:_LONGEST_TEXT])
    if not parts or "".join(number + unit for number, unit in parts) != text:
        hint = f"write {text}s or {text}m" if _is_number(text) else 'write it like "30s", "5m" or "1m30s"'
        raise PlanError(f"{what} {text!r} is not a duration with a unit", hint=hint)
    seconds = sum(float(number) * _DURATION_S[unit] for number, unit in parts)
    if seconds > LONGEST_DURATION_S:
        raise PlanError(f"{what} {text!r} is longer than a hundred years", hint='write it like "30s", "5m" or "24h"')
    return seconds


def parse_rate_per_s(text: str, *, what: str = "rate", zero: bool = False) -> float:
    """Parse a rate in starts per second: "500", "1.5k", "1k/s", "90/min", "1/20000s" (one in 20,000 seconds).

    The unit of the time may be left out: "1/20000", as a `fractions.Fraction` is written. Fractions are kept.

    Raises:
        PlanError: not a rate, 0 without *zero*, or over ten million starts per second. *what* names the option in the
            message.
    """
    written = as_text(text, what).strip()
    if isinstance(text, Real) and "e" in written:
        # A number, not a text: Python writes small ones like 5e-05.
        written = f"{Decimal(written):f}"
    match = _match(_RATE, written)
    if match and (written.endswith("/") or (match[3] and not float(match[3]))):
        match = None
    rate = _rate_per_s(*match.groups()) if match else 0.0
    if not match or (rate <= 0 and not zero):
        wanted = "a rate" if zero else "a rate above zero"
        raise PlanError(f"{what} {text!r} is not {wanted}", hint='write it like "500", "1k/s" or "90/min"')
    if rate > FASTEST_RATE_PER_S:
        raise PlanError(f"{what} {text!r} is over ten million starts per second", hint='write it like "500" or "1k/s"')
    return rate


def _rate_per_s(number: str, suffix: str, times: str | None, unit: str | None) -> float:
    return float(number) * _NUMBER_SUFFIX[suffix.lower()] / (float(times or 1) * _RATE_UNIT_S[unit])


def parse_bytes(text: str | float, *, what: str = "size") -> int:
    """Parse a size in bytes: a number, or a number with a unit: "500kB", "1.5MB" (powers of 1,000), "64KiB" (of 1,024).

    Raises:
        PlanError: not a size, or one over 63 bits.
    """
    match = _match(_BYTES, as_text(text, what).strip())
    if not match:
        raise PlanError(f"{what} {text!r} is not a number of bytes", hint='write it like 500, "64KiB" or "1MB"')
    size = float(match[1]) * _BYTES_UNIT[(match[2] or "").replace("K", "k")]
    if size >= MOST_BYTES:
        raise PlanError(f"{what} {text!r} is more bytes than there can be", hint='write it like "64KiB" or "1GB"')
    return round(size)


def parse_share(text: str, *, what: str = "share") -> float:
    """Parse a share from 0 to 1: "0.01", or the same in per cent: "1%".

    Raises:
        PlanError: not a share. *what* names the option in the message.
    """
    match = _match(_SHARE, as_text(text, what).strip())
    share = float(match[1]) / (100 if match[2] else 1) if match else math.inf
    if share > 1:
        raise PlanError(f"{what} {text!r} is not a share from 0 to 1", hint='write it like "1%" or "0.01"')
    return share


def parse_whole(text: str, most: int) -> int | None:
    """Parse *text* as a whole number from 0 to *most*, in ASCII digits; None if it is anything else.

    ``int`` takes more than that: signs, spaces, digits of other scripts. It raises an error for thousands of digits.
    """
    digits = text.lstrip("0") or text[:1]
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > len(str(most)):
        return None
    number = int(digits)
    return number if number <= most else None


def _stage_text(given: Any) -> str:
    """Return a stage as a text; of a pair, or of a mapping as k6 has them, the error says which text that is."""
    match given:
        case {"duration": duration, "target": target} | (duration, target):
            if isinstance(target, str) and not isinstance(duration, str):
                duration, target = target, duration
            wanted = f'"{duration}:{target}"'
            what = f"stage {given!r:.80} is no text"
            raise PlanError(what, hint=f"write {wanted}: the duration, a colon, and the VUs (or the rate) at its end")
    return as_text(given, "a stage")


def parse_stage(text: str) -> tuple[float, int]:
    """Parse a stage like "30s:10" to ``(seconds, VUs at its end)``.

    Raises:
        PlanError: no colon, no unit on the duration, or no whole number of VUs.
    """
    duration, _, target = _stage_text(text).partition(":")
    vus = parse_whole(target.strip(), _MOST_VUS_WRITTEN)
    if vus is None:
        raise PlanError(
            f"stage {text!r} is not DURATION:VUS",
            hint='write it like "30s:10", the duration first: reach 10 VUs in 30 seconds',
        )
    return parse_duration_s(duration, what=f"stage {text!r}: duration"), vus


def is_rate_stage(text: str) -> bool:
    """Return whether a stage ends at a rate, like "30s:100/s", and not at a number of VUs."""
    return "/" in _stage_text(text).partition(":")[2]


def parse_rate_stage(text: str) -> tuple[float, float]:
    """Parse a stage like "30s:100/s" to ``(seconds, starts per second at its end)``.

    A rate without a unit is per second.

    Raises:
        PlanError: no colon, no unit on the duration, or no rate.
    """
    duration, colon, target = _stage_text(text).partition(":")
    if not colon:
        raise PlanError(
            f"stage {text!r} is not DURATION:RATE", hint='write it like "30s:100/s": reach 100 starts/s in 30 seconds'
        )
    rate_per_s = parse_rate_per_s(target, what=f"stage {text!r}: rate", zero=True)
    return parse_duration_s(duration, what=f"stage {text!r}: duration"), rate_per_s


def format_ms(value_ms: float | None) -> str:
    """Format milliseconds with three significant digits: ``"840µs"``, ``"12.3ms"``, ``"1.25s"``; else ``"-"``."""
    if value_ms is None or not math.isfinite(value_ms):
        return "-"
    if value_ms == 0:
        return "0s"
    if abs(value_ms) < 0.9995:
        return f"{_three_digits(value_ms * 1e3)}µs"
    if abs(value_ms) < 999.5:
        return f"{_three_digits(value_ms)}ms"
    if abs(value_ms) < 59_950:
        return f"{_three_digits(value_ms / 1e3)}s"
    minutes, seconds = divmod(round(value_ms / 1e3), 60)
    return f"{minutes}m{seconds:02d}s"


def format_duration_s(seconds: float) -> str:
    """Format seconds: ``"0s"``, ``"350ms"``, ``"10s"``, ``"1m30s"``, ``"2h05m"``."""
    if seconds < 10 and seconds != int(seconds):
        return format_ms(seconds * 1e3)
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s" if rest else f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m"


def format_count(value: float) -> str:
    """Format a count with separated thousands, or a small fraction with three digits: ``"12,345"``, ``"3.5"``."""
    if isinstance(value, int):
        return f"{value:,}"
    if float(value).is_integer() or abs(value) >= 999.5:
        return f"{value:,.0f}"
    text = f"{value:,.3g}"
    # Without an exponent: one start in 20,000 s is 0.00005 a second.
    return f"{Decimal(text):f}" if "e" in text and abs(value) >= _LEAST_FIXED else text


def format_number_of(count: float, noun: str) -> str:
    """Format a count with its noun: ``"1 VU"``, ``"1,000 VUs"``."""
    return f"{format_count(count)} {noun}{'' if count == 1 else 's'}"


def format_bytes(value: float) -> str:
    """Format bytes in powers of 1,000, like k6 and most network tools: ``"61.2 kB"``, ``"1.3 GB"``."""
    size = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 999.5:
            return f"{size:.0f} B" if unit == "B" else f"{_three_digits(size)} {unit}"
        size /= 1000
    return f"{_three_digits(size)} TB"


def format_percent(ratio: float) -> str:
    """Format a ratio in per cent, never rounded up to 100 % or down to 0 %: ``"99.99%"``, ``"<0.01%"``."""
    percent = ratio * 100
    if 0 < percent < 0.01:
        return "<0.01%"
    if 99.99 < percent < 100:
        return ">99.99%"
    return f"{percent:.2f}%"


def _three_digits(value: float) -> str:
    magnitude = abs(value)
    if magnitude >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if magnitude >= 9.995 else f"{value:.2f}"


def _match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return pattern.fullmatch(text) if len(text) <= _LONGEST_TEXT else None


def _is_number(text: str) -> bool:
    return _match(_NUMBER, text) is not None
