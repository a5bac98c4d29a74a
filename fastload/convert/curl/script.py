"""Scripts from commands of curl: a scenario that sends their requests one after the other."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from fastload.convert.curl.bodies import FilePiece, FormPart
from fastload.convert.curl.command import CurlCommands, CurlRequest
from fastload.convert.curl.shell_words import VARIABLE, variables_left
from fastload.convert.curl.values import ShellValues
from fastload.convert.script.bodies import multipart_arguments
from fastload.convert.script.expressions import local_file
from fastload.convert.script.names import single_line
from fastload.convert.script.origins import Origins, origin_of
from fastload.convert.script.steps import Step, basic_or_other, scenario_name, script_of_steps
from fastload.convert.script.values import Values
from fastload.convert.script.writer import Call, Code, Conversion, Module, flatten
from fastload.convert.source_request import header_of
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
    step.without = made.without
    if made.pieces:
        step.body = {"data": _body_of(module, made.pieces, values)}
    if made.parts:
        step.body = multipart_arguments([(part.name, _part(module, part)) for part in made.parts])
    # A header goes over it, as for curl.
    if made.user is not None and not header_of(made.request.headers, "authorization"):
        user, _, password = made.user.partition(":")
        # Without a variable in its place, the password is asked for.
        asked = values.text(password, "password") if VARIABLE.search(password) else module.secret("PASSWORD", password)
        step.more["auth"] = basic_or_other(made.scheme, values.raw(user), asked)
    if made.cookies:
        step.more["cookies"] = {name: values.text(value, name) for name, value in made.cookies}
    if made.timeout_s is not None:
        step.more["timeout"] = made.timeout_s
    if made.max_redirects is not None and made.max_redirects >= 0:
        step.more["max_redirects"] = made.max_redirects
    return step


def _body_of(module: Module, pieces: list[str | FilePiece], values: Values) -> Code:
    """Return the body that *pieces* are, which has a file: it streams one alone, and others are read once."""
    if isinstance(pieces[0], FilePiece) and len(pieces) == 1 and not pieces[0].is_without_line_ends:
        return local_file(module, pieces[0].path)
    made = [_piece(module, piece, values) for piece in pieces]
    return module.constant("BODY", made[0] if len(made) == 1 else Call('b"".join', [made]))


def _piece(module: Module, piece: str | FilePiece, values: Values) -> Code:
    if isinstance(piece, FilePiece):
        content = f"{local_file(module, piece.path).text}.read_bytes()"
        # As -d does.
        return Code(rf'{content}.translate(None, b"\r\n\0")' if piece.is_without_line_ends else content)
    text = module.short(values.raw(piece), "TEXT", 24)
    if isinstance(text, str) and text.isascii():
        return Code(flatten(text.encode()))
    return Code(f"{flatten(text)}.encode()")


def _part(module: Module, part: FormPart) -> Any:
    if not part.path:
        return (part.shown, part.text, part.kind) if part.shown or part.kind else part.text
    file = local_file(module, part.path)
    return file if part.is_plain_path else (part.shown, file, part.kind)
