"""What a script for k6's files does: it takes the samples of a metric with some tags, and makes figures of them.

It knows k6's two formats and nothing of fastload: tests run it on files of both.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple


class Sample(NamedTuple):
    """*at_s* is since the epoch; in CSV it is whole."""

    metric: str
    at_s: float
    value: float
    tags: dict[str, str]


def text_of(path: Path) -> str:
    """What is in the file, which may be compressed."""
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


def read_json(path: Path) -> tuple[dict[str, dict[str, Any]], list[Sample]]:
    """The declarations by metric, and the samples. Each metric is declared once, before its first sample."""
    declared: dict[str, dict[str, Any]] = {}
    samples = []
    for line in text_of(path).splitlines():
        entry = json.loads(line)
        metric, data = entry["metric"], entry["data"]
        if entry["type"] == "Metric":
            assert metric not in declared
            assert data["name"] == metric
            declared[metric] = data
        else:
            assert entry["type"] == "Point"
            assert metric in declared
            at_s = datetime.fromisoformat(data["time"]).timestamp()
            samples.append(Sample(metric, at_s, data["value"], data["tags"] or {}))
    return declared, samples


def read_csv(path: Path) -> list[Sample]:
    """The samples; columns that are empty are no tags."""
    rows = csv.DictReader(text_of(path).splitlines())
    return [Sample(row["metric_name"], int(row["timestamp"]), float(row["metric_value"]), _tags(row)) for row in rows]


def _tags(row: dict[str, str]) -> dict[str, str]:
    columns = list(row)[3:-2]
    own = dict(pair.split("=", 1) for pair in row["extra_tags"].split("&") if pair)
    assert not own.keys() & set(columns)
    return {column: row[column] for column in columns if row[column]} | own


def values(samples: list[Sample], metric: str, **tags: str) -> list[float]:
    """The values of *metric* of samples that have these *tags*."""
    return [
        one.value for one in samples if one.metric == metric and all(one.tags.get(key) == tags[key] for key in tags)
    ]


def percentile(samples: list[Sample], metric: str, percent: float, **tags: str) -> float:
    """The value that *percent* of those with *tags* do not exceed."""
    return percentile_of(values(samples, metric, **tags), percent)


def percentile_of(found: list[float], percent: float) -> float:
    """The value that *percent* of all do not exceed."""
    ordered = sorted(found)
    return ordered[max(1, math.ceil(percent / 100 * len(ordered) - 1e-9)) - 1]


def by_tag(samples: list[Sample], metric: str, tag: str) -> Iterator[tuple[str, list[float]]]:
    """The values of *metric* for each value of *tag*."""
    for text in sorted({one.tags.get(tag, "") for one in samples if one.metric == metric}):
        yield text, [one.value for one in samples if one.metric == metric and one.tags.get(tag, "") == text]
