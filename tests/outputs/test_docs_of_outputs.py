"""docs/outputs.md has every output, every name that Prometheus gets, and what is told of a run beside its metrics."""

from __future__ import annotations

from collections.abc import Iterator

from fastload.model.metrics import BUILTIN
from fastload.model.series import CounterValue, GaugeValue, RateValue, TrendValue
from fastload.model.views import empty_value
from fastload.outputs.streams.data_points import RUN_STATE_SPECS, DataPoint
from fastload.outputs.streams.otlp import _AGGREGATION, _ENDPOINT, _METRICS_ENDPOINT, _TEMPORALITY
from fastload.outputs.streams.prometheus_names import base_name, values_of
from fastload.outputs.streams.registry import ALIASES, SHIPPED
from fastload.outputs.streams.sink_output import CAPACITY_SECONDS, PATIENCE_S
from tests.conftest import REPO
from tests.test_docs import names, rows, section

PAGE = (REPO / "docs" / "outputs.md").read_text()


def prometheus_names(of: str) -> Iterator[str]:
    spec = {**BUILTIN, **RUN_STATE_SPECS}[of]
    sink = empty_value(spec)
    match sink:
        case TrendValue():
            yield base_name(spec)
        case GaugeValue():
            sink.set(1)
        case RateValue():
            sink.total = 1
        case CounterValue():
            pass
    yield from (value.name for value in values_of(DataPoint(spec, (), sink), base_name(spec)))


def test_every_output_is_there() -> None:
    intro = section("outputs.md", "Outputs")
    shown = {name for row in rows(intro.replace("DIR\\|FILE", "FILE")) for name in names(row[0])}
    wanted = {f"{name}={shipped.argument}".rstrip("=").replace("DIR|FILE", "FILE") for name, shipped in SHIPPED.items()}
    assert shown == wanted
    assert all(f"`{alias}`" in intro for alias in ALIASES)
    extras = {names(row[0])[0].partition("=")[0]: names(row[2]) for row in rows(intro.replace("DIR\\|FILE", "FILE"))}
    for name, shipped in SHIPPED.items():
        assert extras.get(name, []) == ([f"fastload[{shipped.extra}]"] if shipped.extra else [])


def test_every_name_that_prometheus_gets_is_there() -> None:
    shown = {names(row[0])[0]: set(names(row[1])) for row in rows(section("outputs.md", "Prometheus"))}
    assert shown == {name: set(prometheus_names(name)) for name in BUILTIN}


def test_what_is_told_of_a_run_is_there() -> None:
    shown = {names(row[0])[0]: (row[1], names(row[2])) for row in rows(section("outputs.md", "Monitoring"))}
    assert shown == {
        name: (spec.kind.value + (f", {spec.unit}" if spec.unit else ""), list(prometheus_names(name)))
        for name, spec in RUN_STATE_SPECS.items()
    }


def test_variables_and_bounds_are_there() -> None:
    assert all(f"`{name}`" in PAGE for name in (_ENDPOINT, _METRICS_ENDPOINT, _TEMPORALITY, _AGGREGATION))
    about = section("outputs.md", "When an output does not keep up")
    assert f"queue of {CAPACITY_SECONDS} seconds" in about
    assert f"waits {PATIENCE_S:g} s for systems" in about
