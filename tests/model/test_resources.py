from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fastload.model.resources import HostSample, ProcessSample, ResourceSeries, running_spans, spans_text

HOST = HostSample(
    t_s=1.0,
    cpu_percent=50.0,
    cpus_percent=(100.0, 0.0),
    memory_used_bytes=1_000,
    memory_total_bytes=4_000,
    load_1m=0.5,
    net_sent_bytes_per_s=10.0,
    net_received_bytes_per_s=20.0,
    loopback_bytes_per_s=5.0,
    tcp_retransmits=0,
    listen_overflows=0,
    listen_drops=0,
    context_switches_per_s=100.0,
)
PROCESS = ProcessSample(
    t_s=1.0,
    label="target",
    cpu_percent=80.0,
    rss_bytes=100,
    threads=2,
    fds=10,
    processes=1,
    context_switches_per_s=5.0,
    run_delay_ratio=0.01,
    alive=True,
)


def test_mean_and_max_over_a_series() -> None:
    series = ResourceSeries("target", (PROCESS, replace(PROCESS, t_s=2.0, cpu_percent=20.0, alive=False)))
    assert series.mean("cpu_percent") == 80.0, "what has ended uses nothing, and says nothing of what it used"
    assert series.max("cpu_percent") == 80.0
    assert series.mean("alive") == 0.5


def test_host_series_to_dict_has_series_means_and_maxima() -> None:
    later = replace(HOST, t_s=2.0, cpu_percent=100.0, cpus_percent=(100.0, 100.0), tcp_retransmits=4)
    result = ResourceSeries("host", (HOST, later)).to_dict()
    assert json.loads(json.dumps(result)) == result
    assert result["label"] == "host"
    assert result["series"]["t_s"] == [1.0, 2.0]
    assert result["series"]["cpus_percent"] == [[100.0, 0.0], [100.0, 100.0]]
    assert result["mean"]["cpu_percent"] == 75.0
    assert result["mean"]["cpus_percent"] == [100.0, 50.0]
    assert result["max"]["cpus_percent"] == [100.0, 100.0]
    assert result["max"]["tcp_retransmits"] == 4
    assert "t_s" not in result["mean"]


def test_process_series_to_dict_names_the_label_once() -> None:
    result = ResourceSeries("target", (PROCESS,)).to_dict()
    assert json.loads(json.dumps(result)) == result
    assert "label" not in result["series"]
    assert result["series"]["alive"] == [True]
    assert result["max"]["rss_bytes"] == 100


def test_a_cpu_that_went_offline_leaves_the_others_summarised() -> None:
    result = ResourceSeries("host", (HOST, replace(HOST, cpus_percent=(50.0,)))).to_dict()
    assert result["mean"]["cpus_percent"] == [75.0]


def test_an_empty_series_has_neither_mean_nor_max() -> None:
    series: ResourceSeries[HostSample] = ResourceSeries("host", ())
    assert series.mean("cpu_percent") is None
    assert series.max("cpu_percent") is None
    assert series.to_dict() == {"label": "host", "series": {}, "mean": {}, "max": {}}


def test_an_unknown_field_is_an_error() -> None:
    with pytest.raises(AttributeError):
        ResourceSeries("host", (HOST,)).mean("cpu")


def test_spans_in_which_a_process_ran() -> None:
    def spans(alive: str) -> tuple[tuple[float, float], ...]:
        return running_spans((float(second + 1), one == "x") for second, one in enumerate(alive))

    assert spans("") == spans("..") == ()
    assert spans("xx") == ((0.0, 2.0),)
    assert spans("xx..x.") == ((0.0, 2.0), (4.0, 5.0))
    assert spans(".x") == ((1.0, 2.0),)
    assert spans_text(spans("xx..x.")) == "from 0s to 2s, from 4s to 5s"
    assert spans_text(spans("x.x.x.x")) == "from 0s to 1s, from 2s to 3s, from 4s to 5s, …"
    assert spans_text(()) == ""


def test_a_series_without_a_living_process_has_the_mean_of_all() -> None:
    gone = replace(PROCESS, cpu_percent=20.0, alive=False)
    assert ResourceSeries("target", (gone,)).mean("cpu_percent") == 20.0
