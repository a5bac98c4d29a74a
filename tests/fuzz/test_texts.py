"""What is written for other programs to read: any name and any value comes back, or has become a valid one."""

from __future__ import annotations

import math
import re

from prometheus_client.parser import text_string_to_metric_families

from fastload.model.metrics import Kind, MetricSpec
from fastload.model.series import CounterValue, GaugeValue, RateValue
from fastload.model.units import format_bytes, format_count, format_duration_s, format_ms, format_percent
from fastload.model.wire_text import one_line
from fastload.outputs.markdown_text import code, code_block, prose, table
from fastload.outputs.streams.data_points import DataPoint
from fastload.outputs.streams.influxdb import _line as influx_line
from fastload.outputs.streams.prometheus_names import labels
from fastload.outputs.streams.statsd import stat_name
from tests.fuzz.parsing import fuzz
from tests.fuzz.source import Source

_TOKENS = (
    "a",
    "name",
    "_",
    "-",
    " ",
    ",",
    "=",
    '"',
    "'",
    "\\",
    "\n",
    "{",
    "}",
    "|",
    "`",
    "<b>",
    "é",
    "\ud800",
    "0",
    "\0",
    "le",
)
_NUMBERS = (0, 1, -1, 0.5, 1e-9, 999.5, 1e15, 1e300, 2**63, 2**70, math.inf, -math.inf, math.nan)


def _point(source: Source) -> DataPoint:
    tags = {source.made_of(_TOKENS, 4): source.made_of(_TOKENS, 4) for _ in range(source.randrange(3))}
    number = source.choice(_NUMBERS)
    values: tuple[CounterValue | GaugeValue | RateValue, ...] = (
        CounterValue(number),
        GaugeValue(number, number, number),
        RateValue(1, source.randint(1, 9)),
    )
    spec = MetricSpec("orders", Kind.GAUGE, source.choice(("", "ms", "bytes", "é m/s")))
    return DataPoint(spec, tuple(sorted(tags.items())), source.choice(values))


def test_any_tags_are_labels_that_prometheus_reads() -> None:
    def run(source: Source) -> None:
        found = labels(_point(source).tags, {"job": "x", "run": source.made_of(_TOKENS, 3)})
        quoted = {"\\": "\\\\", "\n": "\\n", '"': '\\"'}
        text = ",".join(
            f'{name}="{"".join(quoted.get(sign, sign) for sign in value)}"' for name, value in found.items()
        )
        ((sample,),) = [family.samples for family in text_string_to_metric_families(f"m{{{text}}} 1\n")]
        assert sample.labels == found

    fuzz(run)


def test_any_point_is_one_line_for_influxdb() -> None:
    def run(source: Source) -> None:
        line = influx_line(_point(source), {"run": source.made_of(_TOKENS, 3)}, 1)
        assert "\n" not in line
        if line:
            assert line.startswith("orders")
            assert line.endswith(" 1")

    fuzz(run)


def test_any_point_has_a_name_for_statsd() -> None:
    fuzz(lambda source: _is_name(stat_name(_point(source))))


def _is_name(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", name)


def test_any_text_is_one_cell_of_a_table_in_markdown() -> None:
    def run(source: Source) -> None:
        text = source.made_of(_TOKENS)
        for cell in (prose(text), code(text)):
            row = table(["a", "b"], [[cell, "x"]]).split("\n")
            assert len(row) == 3
            assert len(re.findall(r"(?<!\\)\|", row[2])) == 3
        assert code_block(text).count("\n") >= 2
        assert one_line(text).isprintable()

    fuzz(run)


def test_any_number_is_a_text() -> None:
    def run(source: Source) -> None:
        number = float(source.choice(_NUMBERS)) * source.choice((1, 10, 1 / 3))
        assert format_ms(number)
        assert format_percent(number)
        assert format_bytes(number)
        if math.isfinite(number):
            assert format_count(number)
            assert format_duration_s(number)

    fuzz(run)
