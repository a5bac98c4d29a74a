"""``--out csv=FILE[.gz]``: points in the CSV columns of k6."""

from __future__ import annotations

import csv
from io import StringIO

from fastload.outputs.streams.k6_samples import (
    K6_REQUEST_METRICS,
    DurationTexts,
    K6PointFile,
    RequestLineTexts,
    RequestPart,
    k6_request_lines,
)

_NS_PER_S = 1_000_000_000
_TAGS = (
    *("check", "error", "error_code", "expected_response", "group", "method", "name", "proto", "scenario"),
    *("service", "status", "subproto", "tls_version", "url"),
)
COLUMNS = ("metric_name", "timestamp", "metric_value", *_TAGS, "extra_tags", "metadata")
_BEFORE = [f"{metric}," for metric in K6_REQUEST_METRICS]
DEFAULT_FILE = "file.csv"


class K6Csv(K6PointFile):
    """A sink for k6's CSV, whose times are whole seconds. Like k6, it writes `DEFAULT_FILE` if *argument* is empty."""

    example = "samples.csv"

    def __init__(self, argument: str) -> None:
        super().__init__("csv", argument or DEFAULT_FILE)
        self._ms = DurationTexts(_ms_text)

    def head(self) -> str:
        return ",".join(COLUMNS) + "\n"

    def requests(self, requests: RequestPart, tag_sets: list[dict[str, str]]) -> str:
        text = RequestLineTexts(_BEFORE, _time, "1.000000", "0.000000", self._ms, [_tail(tags) for tags in tag_sets])
        return "".join(k6_request_lines(requests, text))

    def values(
        self, metric: str, times_ns: list[int], values: list[float], sets: list[int], tag_sets: list[dict[str, str]]
    ) -> str:
        tails = {tag_set: _tail(tag_sets[tag_set]) for tag_set in set(sets)}
        return "".join(
            f"{metric},{time_ns // _NS_PER_S},{value:f}{tails[tag_set]}"
            for time_ns, value, tag_set in zip(times_ns, values, sets, strict=True)
        )


def _time(time_ns: int) -> str:
    return f"{time_ns // _NS_PER_S},"


def _ms_text(value_us: int) -> str:
    whole, rest = divmod(value_us, 1000)
    return f"{whole}.{rest:03}000"


def _tail(tags: dict[str, str]) -> str:
    """Return all columns after the value; tags that k6 does not have go into ``extra_tags``."""
    others = "&".join(f"{key}={text}" for key, text in tags.items() if key not in _TAGS)
    row = StringIO()
    csv.writer(row, lineterminator="\n").writerow(["", *(tags.get(tag, "") for tag in _TAGS), others, ""])
    return row.getvalue()
