"""Values of k6's options: reads them as k6 does, and says in k6's words what is wrong with one."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from fastload.model.errors import PlanError, nearest
from fastload.model.units import LONGEST_DURATION_S, parse_duration_s

_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_MILLISECONDS = re.compile(rf"[-+]?{_NUMBER}(?:[eE][-+]?[0-9]+)?")
_PART = re.compile(rf"({_NUMBER})(ns|us|[µμ]s|ms|s|m|h|d)")
_DURATION = re.compile(rf"[-+]?(?:{_NUMBER}(?:ns|us|[µμ]s|ms|s|m|h|d))+")
_PART_MS = {
    "ns": 1e-6, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3, "h": 3600e3, "d": 86_400e3,
}  # fmt: skip
_WHOLE = re.compile(r"[-+]?[0-9]+")
# No value with a unit is longer. Longer texts are not looked at: each regular expression ends soon.
_LONGEST_TEXT = 200


class K6Value(NamedTuple):
    """Value of the option *key*. *where*: the file, and the table in it, for messages."""

    where: str
    key: str
    value: Any

    @property
    def shown(self) -> str:
        """The value as the file has it."""
        return json.dumps(self.value, ensure_ascii=False, default=str)

    def wrong(self, kind: str, example: str) -> PlanError:
        """Return the error of a value that is not of *kind*. *example*: a right one, as JSON."""
        return self.refused(f"is {self.shown}, and takes {kind}", f'write "{self.key}": {example}')

    def refused(self, problem: str, hint: str) -> PlanError:
        return PlanError(f"{self.where}: {self.key} {problem}", hint=hint)

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value:
            raise self.wrong("a text", '"text"')
        return self.value

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.wrong("true or false", "true")
        return self.value

    def whole(self, least: int = 1) -> int | None:
        """Return the whole number, from *least* on. A text of digits is one too, and an empty one is no value."""
        value = self.value
        if value == "":
            return None
        if isinstance(value, str) and len(value) <= _LONGEST_TEXT and _WHOLE.fullmatch(value):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong("a whole number", "10")
        if value < least:
            raise self.refused(f"is {self.shown}, and is {least} at least", f'write "{self.key}": 10')
        return value

    def number(self) -> Decimal | None:
        """Return the number, 0 or more. A text of digits is one too, and an empty one is no value."""
        value = self.value
        if value == "":
            return None
        is_text = isinstance(value, str) and len(value) <= _LONGEST_TEXT and _WHOLE.fullmatch(value)
        if not is_text and (isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value)):
            raise self.wrong("a number", "10")
        number = Decimal(str(value))
        if number < 0:
            raise self.refused(f"is {self.shown}, and is 0 at least", f'write "{self.key}": 10')
        return number

    def duration(self) -> str:
        """Return the duration as fastload writes it. Without a unit it is milliseconds."""
        value = self.value
        if isinstance(value, str) and len(value) <= _LONGEST_TEXT:
            text = value
        elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
            text = str(value)
        else:
            raise self.wrong("a duration", '"30s"')
        if _MILLISECONDS.fullmatch(text):
            ms = float(text)
        elif _DURATION.fullmatch(text):
            size = sum(float(number) * _PART_MS[unit] for number, unit in _PART.findall(text))
            ms = -size if text.startswith("-") else size
        else:
            raise self.wrong("a duration", '"30s"')
        if ms < 0:
            raise self.refused(f"is {self.shown}, and is 0 at least", f'write "{self.key}": "30s"')
        if not ms <= LONGEST_DURATION_S * 1e3:
            raise self.refused(f"is {self.shown}, which is over a hundred years", f'write "{self.key}": "30s"')
        return text if _is_duration(text) else f"{ms:.6f}".rstrip("0").rstrip(".") + "ms"

    def some_time(self) -> str:
        """Return a duration that is not 0. One without a unit that is under a second is refused: seconds were meant."""
        text = self.duration()
        seconds = parse_duration_s(text)
        if seconds <= 0:
            raise self.refused(f"is {self.shown}, and is over 0", f'write "{self.key}": "30s"')
        if seconds < 1 and not _is_duration(str(self.value)):
            raise self.refused(
                f"{self.shown} is {text}: a number without a unit is milliseconds, as in k6",
                f'write "{self.key}": "30s", or with the unit ms',
            )
        return text

    def table(self) -> dict[str, str]:
        """Return a table of texts. An entry without a value (null) is an empty text, as in k6."""
        if not isinstance(self.value, Mapping) or any(isinstance(one, Mapping | list) for one in self.value.values()):
            raise self.wrong("an object of texts", '{"name": "text"}')
        return {name: "" if one is None else one for name, one in self.value.items()}

    def entries(self, known: Iterable[str], example: str) -> dict[str, Any]:
        """Return the entries of an object that has only *known* names; those without a value (null) are left out."""
        if not isinstance(self.value, Mapping):
            raise self.refused("is no object", f'write "{self.key}": {example}')
        names = tuple(known)
        found = known_entries(self.value, names, where=f"{self.where}: {self.key}")
        if unknown := next((name for name in found if name not in names), None):
            hint = nearest(unknown, names) or f"there are {', '.join(names)}"
            raise self.refused(f"has no {unknown!r}", hint)
        return found


def known_entries(given: Mapping[str, Any], known: Iterable[str], *, where: str) -> dict[str, Any]:
    """Return the entries of *given* that have a value (not null), with names as in *known*.

    k6 does not tell capitals from small letters: ``startVus`` is ``startVUs``.

    Raises:
        PlanError: two entries have the same name.
    """
    folded = {name.lower(): name for name in known}
    found: dict[str, Any] = {}
    for key, value in given.items():
        name = folded.get(key.lower(), key)
        if name in found:
            raise PlanError(f"{where}: {name} is given twice, as {key} too", hint="keep one of them")
        if value is not None:
            found[name] = value
    return found


def _is_duration(text: str) -> bool:
    try:
        parse_duration_s(text)
    except PlanError:
        return False
    return True
