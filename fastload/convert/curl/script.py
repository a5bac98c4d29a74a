"""Scripts from commands of curl: a scenario that sends their requests one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastload.convert.curl.command import CurlCommands, CurlRequest
from fastload.convert.curl.shell_words import VARIABLE, variables_left
from fastload.convert.curl.values import ShellValues
from fastload.convert.script.bodies import by_name
from fastload.convert.script.expressions import local_file
from fastload.convert.script.names import single_line
from fastload.convert.script.origins import Origins, origin_of
from fastload.convert.script.steps import Step, basic_or_other, scenario_name, script_of_steps
from fastload.convert.script.values import Values
from fastload.convert.script.writer import Code, Conversion, Module
from fastload.model.errors import PlanError


def script_of_curl(made: CurlCommands, source: str, title: str) -> Conversion:
    """Return the script of the commands *made*, which were read from *source*, for the path *title*."""
    module = Module("", taken={scenario_name(title)})
    values = ShellValues(module)
    steps = [_step_of_curl(one, module, values) for one in made.requests]
    origins = Origins(module, origin_of(urlsplit(made.requests[0].request.url)))
    count = len(steps)
    about = f"{count} request{'s' * (count > 1)} of curl, from {single_line(source)}."
    script = script_of_steps(steps, module, origins, values, about, title, notes=made.notes, options=made.options)
    if left := variables_left(script.text):
        raise PlanError(
            f"{single_line(source)}: the variable ${left[0]} stands where a script cannot take its value",
            hint="write its value into the command; a name, a method, a path of a file and an address are as they are",
        )
    return script


def _step_of_curl(made: CurlRequest, module: Module, values: Values) -> Step:
    step = Step(made.request, is_by_hand=made.is_by_hand)
    if made.body_file:
        step.body = {"data": _body_file(module, made)}
    if made.files:
        files = [(name, _form_file(module, path, shown, kind)) for name, path, shown, kind in made.files]
        step.body = {"files": by_name(files) if len(dict(files)) == len(files) else files}
    if made.user is not None:
        user, _, password = made.user.partition(":")
        # Without a variable in its place, the password is asked for.
        asked = values.text(password, "password") if VARIABLE.search(password) else module.secret("PASSWORD", password)
        step.more["auth"] = basic_or_other(made.scheme, values.raw(user), asked)
    if made.cookies:
        step.more["cookies"] = {name: values.text(value, name) for name, value in made.cookies}
    if made.timeout_s is not None:
        step.more["timeout"] = made.timeout_s
    return step


def _body_file(module: Module, made: CurlRequest) -> Code:
    file = local_file(module, made.body_file)
    if not made.is_without_line_ends:
        return file
    # As -d does; once, and not for each request.
    return module.constant("BODY", Code(rf'{file.text}.read_bytes().translate(None, b"\r\n\0")'))


def _form_file(module: Module, path: str, shown: str, kind: str) -> Any:
    file = local_file(module, path)
    return (shown, file, kind) if kind else file if shown == Path(path).name else (shown, file)
