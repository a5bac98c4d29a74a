"""docs/grafana.json: each query is answered by a real Prometheus that got a run, scraped or by remote write."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import fastload as fl
from fastload.targets import RunningTarget
from tests.conftest import REPO, free_port, wait_until
from tests.outputs.streams.receivers import PrometheusServer, prometheus_server

DASHBOARD: dict[str, Any] = json.loads((REPO / "docs" / "grafana.json").read_text())
PANELS = DASHBOARD["panels"]
CHARTS = [panel for panel in PANELS if panel["type"] != "row"]


@fl.scenario(
    rate="40/s", duration="4s", max_vus=3, when_busy="drop", thresholds={"http_req_failed": "rate<0.9"}, name="browse"
)
async def browse(vu: fl.VU) -> None:
    reply = await vu.get("/health")
    vu.check(reply, {"ok": reply.ok})
    await vu.get("/nowhere")
    await vu.sleep(0.1)
    if vu.iteration_in_test % 5 == 0:
        raise ValueError("for the panel of exceptions")


class Last:
    """The moment of the last second."""

    time_s = 0.0

    def start(self, plan: fl.Plan) -> None: ...

    def snapshot(self, snapshot: fl.Snapshot) -> None:
        # Whole milliseconds, as the samples have: Prometheus rounds, and the next one ends the series.
        self.time_s = snapshot.time_ns // 1_000_000 / 1000

    def stop(self, summary: fl.Summary) -> None: ...


def variables(query: str) -> set[str]:
    return set(re.findall(r"\$(\w+)", query))


def test_every_query_is_answered_both_ways(sequencer: RunningTarget, tmp_path: Path) -> None:
    port, last = free_port(), Last()
    with prometheus_server(tmp_path, port) as server:
        out = (f"prometheus={port}", f"prometheus-rw={server.url}/api/v1/write")
        fl.run(browse, base_url=sequencer.base_url, workers=1, out=out, outputs=[last])
        wait_until(lambda: bool(server.query('fastload_iterations_total{job="scraped"}', last.time_s)))
        for job in ("scraped", "fastload"):
            assert unanswered(server, job, last.time_s) == [], job
        for variable in DASHBOARD["templating"]["list"][1:]:
            assert values_of(server, variable["query"]["query"]), variable["name"]


def unanswered(server: PrometheusServer, job: str, at_s: float) -> list[str]:
    """Queries of panels without a number, as Grafana asks them: its variables are put in for their values."""
    silent = []
    for panel in CHARTS:
        for target in panel["targets"]:
            query = target["expr"].replace("$__rate_interval", "10s").replace("$job", job)
            query = query.replace("$run", ".*").replace("$name", ".*")
            assert not variables(query), query
            found = server.query(query, at_s)
            if not any(value == value for value in found.values()):
                silent.append(f"{panel['title']} {target['refId']}: {query}")
            # What the legend names is a label of the answer.
            wanted = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert not found or all(wanted <= {label for label, _ in labels} for labels in found), query
    return silent


def values_of(server: PrometheusServer, query: str) -> list[str]:
    """The values of a variable, by the API that Grafana asks for ``label_values(selector, label)``."""
    wanted = re.fullmatch(r"label_values\((\w+)(?:{.*})?, (\w+)\)", query)
    assert wanted, query
    with urlopen(f"{server.url}/api/v1/label/{wanted[2]}/values?match[]={wanted[1]}") as answer:
        return list(json.load(answer)["data"])


def test_it_is_what_an_import_takes() -> None:
    """The parts of Grafana's dashboard model that an import needs, and panels that lie beside each other."""
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= DASHBOARD.keys()
    assert "id" not in DASHBOARD, "the id of one Grafana would overwrite a dashboard of another"
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    names = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    source = DASHBOARD["templating"]["list"][0]
    assert (source["type"], source["query"]) == ("datasource", "prometheus")
    for panel in CHARTS:
        assert panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": f"${{{source['name']}}}"}
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"]
            assert variables(target["expr"]) <= names | {"__rate_interval"}, target["expr"]
    for one, other in combinations((panel["gridPos"] for panel in PANELS), 2):
        assert one["x"] + one["w"] <= 24
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"], (one, other)
