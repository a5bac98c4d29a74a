"""The text of ``help`` for each public name: each option of a request, and no class of the engine."""

import builtins
import inspect
import pathlib
import pydoc
import re
import subprocess
import sys

import pytest

import fastload as fl

NAMES = sorted({*fl.__all__} - {"__version__"})
CLASSES = [name for name in NAMES if isinstance(getattr(fl, name), type)]
# Classes of the package that scripts get from a call, or read in a result: they are not made by their names.
GIVEN = {
    *("Cookies", "Group", "JudgedRequest", "StreamedRequest", "WebSocketSession", "Measure"),
    *("Hooks", "ScenarioPlan", "Threshold", "MetricSpec", "Kind", "SavedSeconds", "WrittenFile", "Finding"),
    *("ErrorTable", "Event", "HostSample", "ProcessSample", "Series", "SeriesTable", "ThresholdResult", "CallResult"),
    *("CheckResult", "EndpointResult", "GroupResult", "HookError", "LoadChange", "RequestCounts", "ResourceSeries"),
    *("ScenarioResult", "WorkerEvidence", "CommandQueue"),
    *("CapacityResult", "CapacitySettings", "TargetCost", "SearchProgress"),
    # Bases of several public classes.
    *("UserMetric", "TargetOptions", "PublicType"),
}
METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "request", "expect")
NOISE = ("__abstractmethods__", "__dataclass_fields__", "__weakref__", "__init_subclass__", "__getstate__")


def shown(thing: object) -> str:
    text = pydoc.render_doc(thing, renderer=pydoc.TextDoc())
    # A bold letter is the letter, a backspace, and the letter again. What is inherited of Python is not ours.
    return re.sub(".\b", "", text).partition("inherited from typing")[0]


def internal_classes() -> set[str]:
    """The names of all classes of the package that are not public, and that no public call gives to a script."""
    for name in NAMES:
        getattr(fl, name)
    modules = [module for name, module in sys.modules.items() if name.startswith("fastload.")]
    classes = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    names = {one.__name__ for one in classes if str(one.__module__).startswith("fastload.")} - {*fl.__all__} - GIVEN
    # Names of one word, like Use and Call, are words of a sentence as well.
    return {name for name in names if re.search(r"[a-z][A-Z]", name)} | {"Transfer", "Recorder", "Scope", "Measurement"}


@pytest.mark.parametrize("name", NAMES)
def test_help_says_nothing_of_the_engine(name: str) -> None:
    text = shown(getattr(fl, name))
    assert set(re.findall(r"(?<!\.)\b\w+", text)) & internal_classes() == set()


@pytest.mark.parametrize("name", NAMES)
def test_what_help_refers_to_is_there(name: str) -> None:
    thing = getattr(fl, name)
    for reference in re.findall(r"(?<!`)`([A-Za-z_][\w.]*)`(?!`)", shown(thing)):
        first, *rest = reference.split(".")
        known = [vars(builtins), {"pathlib": pathlib}, {name: getattr(fl, name) for name in NAMES}]
        known += [{name: getattr(thing, name) for name in dir(thing)}]
        found = next((space[first] for space in known if first in space), None)
        assert found is not None, f"help(fl.{name}) refers to {reference}"
        for part in rest:
            found = getattr(found, part)


@pytest.mark.parametrize(
    "name", ["VU", "WebSocket", "Counter", "DataSet", "Retry", "HttpSettings", "Plan", "Run", "Summary"]
)
def test_a_public_class_has_its_public_names_and_its_operators(name: str) -> None:
    cls = getattr(fl, name)
    assert not [word for word in NOISE if word in shown(cls)]
    names = dir(cls)
    assert names == [*dict.fromkeys(names)]
    private = {one for one in names if one.startswith("_")}
    assert private <= {
        f"__{one}__" for one in ("call", "getitem", "len", "iter", "contains", "reversed", "aiter", "enter", "exit")
    }


@pytest.mark.parametrize("name", ["VU", "Reply", "JudgedReply", "StreamedReply", "WebSocket", "DataSet", "Run"])
def test_a_constructor_that_no_script_calls_shows_no_parameters(name: str) -> None:
    assert not inspect.signature(getattr(fl, name)).parameters


def test_a_vu_is_one_class_in_help() -> None:
    text = shown(fl.VU)
    assert fl.VU.__mro__ == (fl.VU, object)
    assert "Method resolution order" not in text
    assert "inherited" not in text
    assert fl.VU.get.__qualname__ == "VU.get"
    vu = object.__new__(fl.VU)
    assert {"get", "check", "random", "setup_data"} <= {*dir(vu)}
    assert not [name for name in dir(vu) if name.startswith("_")]


@pytest.mark.parametrize("method", METHODS)
def test_help_of_a_request_describes_each_option(method: str) -> None:
    text = shown(getattr(fl.VU, method))
    told = set(re.findall(r"^ {8}(\w+): ", text.partition("Options (")[2], re.MULTILINE))
    assert told == {*fl.RequestOptions.__annotations__}
    # One source: what is told of an option is what the type says of it.
    assert fl.RequestOptions.__doc__
    assert "parameters of the query string: by name, or as pairs" in fl.RequestOptions.__doc__
    assert "parameters of the query string: by name, or as pairs" in text


def test_help_of_streams_and_websockets_has_the_options_that_they_take() -> None:
    of_stream, of_websocket = (
        set(re.findall(r"^ {8}(\w+): ", shown(getattr(fl.VU, name)).partition("Options (")[2], re.MULTILINE))
        for name in ("stream", "websocket")
    )
    every = {*fl.RequestOptions.__annotations__}
    assert every - of_stream == {"retry", "keep_body"}
    assert every - of_websocket == {"json", "data", "files", "expected", "retry", "keep_body"}


def test_help_of_a_scenario_describes_each_option() -> None:
    text = shown(fl.scenario).partition("Options (")[2]
    told = {name for line in re.findall(r"^ {8}([\w, ]+): ", text, re.MULTILINE) for name in line.split(", ")}
    assert told == {*fl.ScenarioOptions.__annotations__}


def test_a_call_of_a_described_method_goes_to_the_method_itself() -> None:
    assert not hasattr(fl.VU.get, "__wrapped__")
    assert fl.VU.get.__code__.co_name == "get"


def test_it_imports_without_docstrings() -> None:
    code = "import fastload as fl; fl.VU, fl.scenario, fl.RequestOptions"
    subprocess.run([sys.executable, "-OO", "-c", code], check=True, timeout=60)
