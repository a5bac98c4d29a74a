"""Outputs by name: those that ship, those of other packages, and every way to get one wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastload.model.errors import PlanError
from fastload.outputs.streams import registry
from fastload.outputs.streams.registry import (
    ALIASES,
    SHIPPED,
    make_sink_outputs,
    requested_outputs,
    text_without_secrets,
)

ARGUMENTS = {
    "FILE": "out.file",
    "FILE[.gz]": "out.gz",
    "DIR|FILE": "out.run",
    "PREFIX": "out",
    "": "",
    "[HOST:]PORT": "9464",
    "HOST:PORT": "localhost:8125",
    "URL": "http://localhost:1/db",
}


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    return tmp_path


@pytest.mark.parametrize("name", SHIPPED)
def test_every_output_that_ships_can_be_made_and_makes_nothing_by_that(name: str, in_tmp: Path) -> None:
    argument = ARGUMENTS[SHIPPED[name].argument]
    (stream,) = make_sink_outputs([f"{name}={argument}" if argument else name])
    assert stream.name == name
    assert list(in_tmp.iterdir()) == []


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_names_of_k6_mean_ours(alias: str, name: str) -> None:
    (stream,) = make_sink_outputs([f"{alias}=http://localhost:1"])
    assert stream.name == name


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("infludb=http://x/y", "did you mean 'influxdb'?"),
        ("prometeus=9464", "did you mean 'prometheus'?"),
        ("dashboard", "give --dashboard"),
        ("markdown", "write md=FILE"),
        ("Markdown=report.md", "write md=FILE"),
        ("xml=a.xml", "write junit=FILE"),
        ("summary=x.json", "give --summary FILE.json"),
        ("", "there are run, html"),
        ("=x", "there are run, html"),
    ],
)
def test_an_unknown_name_gets_the_nearest(text: str, hint: str) -> None:
    with pytest.raises(PlanError, match="--out: there is no output") as caught:
        make_sink_outputs([text])
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prometheus", "--out prometheus: '' is not [HOST:]PORT"),
        ("prometheus=localhost:", "--out prometheus: 'localhost:' is not [HOST:]PORT"),
        ("prometheus=0", "--out prometheus: '0' is not [HOST:]PORT"),
        ("prometheus=99999", "--out prometheus: '99999' is not [HOST:]PORT"),
        ("prometheus=²", "--out prometheus: '²' is not [HOST:]PORT"),
        ("statsd=localhost", "--out statsd: 'localhost' is not HOST:PORT"),
        ("prometheus-rw", "--out prometheus-rw needs a URL"),
        ("influxdb", "--out influxdb needs a URL"),
        ("influxdb=http://h:1", "--out influxdb: http://h:1 names no database"),
        ("otlp=localhost:4317", "--out otlp: 'localhost:4317' is no http:// or https:// URL with a host"),
        ("otlp=http://", "--out otlp: 'http://' is no http:// or https:// URL with a host"),
        ("otlp=http://h:port", "--out otlp: this is not a URL: 'http://h:port'"),
        ("otlp=http://[::1", "--out otlp: this is not a URL: 'http://[::1'"),
    ],
)
def test_a_wrong_argument_is_an_error_that_says_how_to_write_it(text: str, message: str) -> None:
    with pytest.raises(PlanError) as caught:
        make_sink_outputs([text])
    assert caught.value.message == message
    assert "write it like --out " in caught.value.hint


@pytest.mark.parametrize("name", ["prometheus-rw", "influxdb", "otlp"])
@pytest.mark.parametrize(
    "url", ["ftp://u:secret@h/db", "http://u:secret@", "http://u:secret@h:x/db", "u:secret@h", "x?password=secret"]
)
def test_no_error_has_a_password(name: str, url: str) -> None:
    with pytest.raises(PlanError) as caught:
        make_sink_outputs([f"{name}={url}"])
    assert "secret" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("influxdb=http://me:se@cret@host:1/db?p=secret", "influxdb=http://host:1/db"),
        ("influxdb=http://me:se/cr?et@host:1/db", "influxdb=http://host:1/db"),
        ("influxdb=http://me:a://b@host:1/db", "influxdb=http://host:1/db"),
        ("influxdb=me:a://b@host:1/db", "influxdb=host:1/db"),
        ("opentelemetry=me:secret@host?key=secret", "opentelemetry=host"),
        ("kafka=load,kafka+ssl://me:secret@host", "kafka=host"),
        ("json=me@home.gz", "json=me@home.gz"),
        ("otlp=https://host/v1/metrics", "otlp=https://host/v1/metrics"),
        ("json=what?.gz", "json=what?.gz"),
        ("statsd=host:1", "statsd=host:1"),
        ("github", "github"),
    ],
)
def test_an_output_is_shown_without_secrets(text: str, shown: str) -> None:
    assert text_without_secrets(text) == shown


def test_the_short_options_mean_outputs_and_a_saved_run_comes_last() -> None:
    texts = requested_outputs({"html": "a.html", "save": "b.run", "out": ("statsd=h:1",)})
    assert [stream.name for stream in make_sink_outputs(texts)] == ["statsd", "html", "run"]


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("prometheus", "prometheus_client", "prometheus"),
        ("prometheus-rw", "cramjam", "prometheus"),
        ("influxdb", "influxdb_client.client.write.point", "influxdb"),
        ("statsd", "statsd", "statsd"),
        ("otlp", "opentelemetry.exporter.otlp.proto.common.metrics_encoder", "otlp"),
    ],
)
def test_a_package_that_is_missing_is_named(
    name: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = SHIPPED[name].factory.partition(":")[0]
    monkeypatch.delitem(sys.modules, f"fastload.outputs.streams.{module}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PlanError, match=f"--out {name} needs the package {package}, which is not installed") as caught:
        make_sink_outputs([f"{name}={ARGUMENTS[SHIPPED[name].argument]}"])
    assert caught.value.hint == f"pip install 'fastload[{extra}]'"


def test_nothing_of_an_output_is_imported_before_it_is_asked_for() -> None:
    code = (
        "import sys, fastload.outputs.streams.registry as r\n"
        "heavy = {'urllib3', 'prometheus_client', 'opentelemetry', 'influxdb_client', 'statsd', 'google', 'cramjam'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "r.make_sink_outputs(['statsd=h:1'])\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n['statsd']\n"


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package with outputs: one that works, and three that do not."""
    (tmp_path / "added_outputs.py").write_text(
        "from tests.outputs.sinks import Keeper\n"
        "from fastload.model.errors import PlanError\n"
        "def good(argument):\n    assert argument == 'a=b'\n    return Keeper()\n"
        "def picky(argument):\n    raise PlanError('not like this', hint='like that')\n"
        "def broken(argument):\n    raise ZeroDivisionError('oh')\n"
        "def other(argument):\n    return object()\n"
    )
    info = tmp_path / "added_outputs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: added-outputs\nVersion: 1.0\n")
    points = [f"{name} = added_outputs:{name}" for name in ("good", "picky", "broken", "other", "gone")]
    (info / "entry_points.txt").write_text("\n".join(["[fastload.outputs]", *points, ""]))
    monkeypatch.syspath_prepend(str(tmp_path))
    registry._added.cache_clear()
    yield
    registry._added.cache_clear()
    sys.modules.pop("added_outputs", None)


@pytest.mark.usefixtures("added")
def test_an_installed_package_adds_outputs() -> None:
    (stream,) = make_sink_outputs(["good=a=b"])
    assert (stream.name, stream.required, stream.wants_points) == ("good", False, False)


@pytest.mark.usefixtures("added")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("picky", "not like this"),
        ("broken", "--out broken: added_outputs:broken failed: ZeroDivisionError: oh"),
        (
            "gone",
            "--out gone: added_outputs:gone failed: AttributeError: module 'added_outputs' has no attribute 'gone'",
        ),
        (
            "other",
            "--out other: added_outputs:other makes no sink: it has no "
            "required, wants_points, check, open, write, close",
        ),
        ("goodd", "--out: there is no output 'goodd'"),
    ],
)
def test_what_is_wrong_with_an_added_output_is_said(name: str, message: str) -> None:
    with pytest.raises(PlanError) as caught:
        make_sink_outputs([name])
    assert caught.value.message == message
    assert name != "goodd" or caught.value.hint == "did you mean 'good'?"
