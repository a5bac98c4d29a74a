"""Scripts that send requests one after the other, as a person wrote them down in a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastload.convert.script.functions import MOST_STATEMENTS, ScriptFunction, Statement, functions_of
from fastload.convert.script.names import identifier, single_line, unique
from fastload.convert.script.origins import Origins
from fastload.convert.script.request_writer import RequestWriter
from fastload.convert.script.values import Values
from fastload.convert.script.writer import WIDTH, Call, Code, Conversion, Module, statement
from fastload.convert.source_request import SourceRequest


@dataclass(slots=True)
class Step:
    """A request of a script: of the group *group* or of none, counted as *name*, or by its path.

    ``body`` has arguments for the body over those of the request, ``more`` has other ones, ``without`` are headers that
    the client does not send, ``comments`` are lines.
    """

    request: SourceRequest
    name: str = ""
    group: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    without: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    is_by_hand: bool = True


def script_of_steps(
    steps: Sequence[Step],
    module: Module,
    origins: Origins,
    values: Values,
    about: str,
    title: str,
    *,
    base_url: str = "",
    notes: Sequence[str] = (),
    options: tuple[str, ...] = (),
) -> Conversion:
    """Return the script at path *title* that sends *steps* in their order, with a group for those of one.

    Args:
        base_url: for the command line, if not the one of *origins*.
        options: what else a run of the script needs.
    """
    base_url = base_url or origins.base
    scenario = scenario_name(title)
    requests = [step.request for step in steps]
    by_hand = all(step.is_by_hand for step in steps)
    writer = RequestWriter(module, origins, values, requests, by_hand=by_hand)
    body = _body(module, [(step, _statement(writer, step)) for step in steps])
    load = {"vus": 1, "iterations": 1, "thresholds": {"http_req_failed": "rate<0.01"}}
    head = statement(Call("@fl.scenario", keywords=load), 0)
    module.add(f"{head}async def {scenario}(vu: fl.VU) -> None:\n{body}")
    module.about = about + module.how_to_run(title, " ".join([base_url, *options]))
    found = [*notes, *dict.fromkeys(writer.notes)]
    if module.environment:
        names = ", ".join(module.environment)
        found.append(f"give {names} with -e, or in the environment: they are secret, or have no value here")
    return Conversion(module.text(), tuple(found), (*module.options(base_url), *options))


def basic_or_other(scheme: str, user: str | Code, password: str | Code) -> Any:
    """Return the argument ``auth``."""
    return (user, password) if scheme == "basic" else Call("fl.Auth", [scheme, user, password])


def scenario_name(title: str) -> str:
    """Return the name of the scenario in the script at path *title*."""
    return identifier(Path(title).stem, "visit")


def _statement(writer: RequestWriter, step: Step) -> Statement:
    comments = "".join(f"    # {single_line(line, WIDTH - 6)}\n" for line in step.comments)
    call = writer.call(step.request, step.name, step.body, step.more, step.without)
    return Statement(comments + statement(call, 4, "await "))


def _body(module: Module, steps: Sequence[tuple[Step, Statement]]) -> str:
    """Return the body of the scenario; groups become functions of *module*."""
    groups: list[tuple[str, list[Statement]]] = []
    for step, one in steps:
        if not groups or groups[-1][0] != step.group:
            groups.append((step.group, []))
        groups[-1][1].append(one)
    body, titles = "", set[str]()
    for group, statements in groups:
        if not group and len(statements) <= MOST_STATEMENTS:
            body += "".join(one.source for one in statements)
            continue
        title = unique(group, titles, joint=" ") if group else ""
        titles.add(title)
        about = f"What is in {title!r}." if group else "A part of the requests."
        functions = functions_of(module, identifier(title, "steps"), about, statements)
        body += _calls(module, functions, title)
    return body


def _calls(module: Module, functions: list[ScriptFunction], group: str) -> str:
    for function in functions:
        function.add_to(module, [])
    begin = statement(Call("async with vu.group", [group], tail=":"), 4) if group else ""
    return begin + "".join(function.call(8 if group else 4, []) for function in functions)
