"""Scripts that send requests one after the other, as a person wrote them down in a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from fastload.convert.script.functions import MOST_STATEMENTS, Statement, functions_of
from fastload.convert.script.names import identifier, single_line, unique
from fastload.convert.script.origins import Origins
from fastload.convert.script.request_writer import RequestWriter
from fastload.convert.script.values import Values
from fastload.convert.script.writer import WIDTH, Call, Code, Conversion, Module, statement
from fastload.convert.source_request import SourceRequest


@dataclass(slots=True)
class Step:
    """A request of a script, counted as *name*, or by its path.

    ``folders`` are those that it is in, from the outermost one: each a group, with a number that no other folder has.
    ``body`` has arguments for the body over those of the request, ``more`` has other ones, ``without`` are headers that
    the client does not send, ``comments`` are lines.
    """

    request: SourceRequest
    name: str = ""
    folders: tuple[tuple[int, str], ...] = ()
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
    """Return the script at path *title* that sends *steps* in their order, with a group for each folder.

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
    """Return the body of the scenario; folders become functions of *module*."""
    statements = _statements(module, steps, 0)
    if len(statements) <= MOST_STATEMENTS:
        return "".join(one.source for one in statements)
    return _calls(module, "steps", "A part of the requests.", statements, 4)


def _statements(module: Module, steps: Sequence[tuple[Step, Statement]], depth: int) -> list[Statement]:
    """Return the statements of *steps*, all of which are in the same *depth* folders: one for each folder in these."""
    found: list[Statement] = []
    titles: list[str] = []
    for folder, inside in groupby(steps, lambda one: one[0].folders[depth : depth + 1]):
        if not folder:
            found += [one for _, one in inside]
            continue
        titles.append(unique(folder[0][1], titles, joint=" "))
        begin = statement(Call("async with vu.group", [titles[-1]], tail=":"), 4)
        inner = _statements(module, list(inside), depth + 1)
        calls = _calls(module, identifier(titles[-1], "steps"), f"What is in {titles[-1]!r}.", inner, 8)
        found.append(Statement(begin + calls))
    return found


def _calls(module: Module, name: str, about: str, statements: Sequence[Statement], indent: int) -> str:
    """Return the calls of functions, which are called *name*, of *statements*."""
    functions = functions_of(module, name, about, statements)
    for function in functions:
        function.add_to(module, [])
    return "".join(function.call(indent, []) for function in functions)
