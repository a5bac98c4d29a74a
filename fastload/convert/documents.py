"""Sources of scripts: finds out their kind, and converts them."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

import msgspec

from fastload.convert.curl.command import begins_with_curl, is_curl, read_curl
from fastload.convert.curl.script import script_of_curl
from fastload.convert.download import document_name, download, is_url
from fastload.convert.locations import malformed_json
from fastload.convert.openapi.description import read_openapi
from fastload.convert.openapi.script import refuse_deletes, script_of_api
from fastload.convert.postman.collection import script_of_collection
from fastload.convert.recordings.har import read_har
from fastload.convert.recordings.script import script_of_recording
from fastload.convert.recordings.visits import RecordingFilter
from fastload.convert.script.writer import Conversion
from fastload.model.bounded_read import read_bounded
from fastload.model.errors import PlanError, nearest
from fastload.model.file_text import utf8_bytes, utf8_text

_KINDS = (
    "give a recording (HAR), a description of an API (OpenAPI 3, as JSON or YAML), a collection of Postman, a command "
    "of curl, or the address of one of them"
)
_HOST = re.compile(r"(?:[\w-]+\.)*[\w-]+:\d+(?:/|$)|(?:localhost|127\.0\.0\.1)(?:/|$)")
_OF_DEPTH = "a script has up to about 180: leave out the request that has more; nothing was written"
_OF_JMETER = (
    "no parser of them is kept up; record what the plan sends instead: 'mitmdump --set hardump=plan.har' and "
    "'jmeter -n -t PLAN -H localhost -P 8080', then --from plan.har"
)


class _Document(NamedTuple):
    """The content of a source, with its name and its suffix, and the URL that it came from: "" of a file."""

    name: str
    suffix: str
    data: bytes
    url: str


def convert(source: str | Path, title: str, recording_filter: RecordingFilter, *, deletes: bool = False) -> Conversion:
    """Return a script made from *source*: the path or the URL of a document, or a command of curl.

    Args:
        title: the path of the script, for its docstring; the stem of the path is the name of the scenario.
        recording_filter: the requests of a recording to keep.
        deletes: of an API description, call the operations that delete, too.

    Raises:
        PlanError: the source does not exist, does not parse, is nested too deeply, or has nothing to make requests
            from; or options of a recording or of an API description were given for another source.
    """
    try:
        made = _converted(source, title, recording_filter, deletes=deletes)
        ast.parse(made.text)
    except (RecursionError, MemoryError, SyntaxError) as error:
        # Python itself refuses 200 brackets within each other, with one of these by its version.
        if isinstance(error, SyntaxError) and "nested" not in str(error):
            raise
        what = "the command" if isinstance(source, str) and is_curl(source) else _name_of(source)
        raise PlanError(f"{what} has too many objects or lists within each other", hint=_OF_DEPTH) from error
    return made


def _converted(source: str | Path, title: str, recording_filter: RecordingFilter, *, deletes: bool) -> Conversion:
    if isinstance(source, str) and is_curl(source):
        _refuse_options("a command of curl", recording_filter, deletes=deletes)
        return script_of_curl(read_curl("the command", source), "a command line", title)
    document = _read(source)
    name, data, kind = document.name, document.data, _kind(document)
    if kind == "api":
        recording_filter.check_unused(name)
        api = read_openapi(name, data, is_json=_is_json(document), url=document.url)
        return script_of_api(api, name, title, deletes=deletes)
    if kind == "recording":
        if deletes:
            refuse_deletes(name)
        return script_of_recording(read_har(name, data), name, title, recording_filter)
    _refuse_options(name, recording_filter, deletes=deletes)
    if kind == "curl":
        return script_of_curl(read_curl(name, utf8_text(data, name)), name, title)
    return script_of_collection(name, data, title)


def _refuse_options(name: str, recording_filter: RecordingFilter, *, deletes: bool) -> None:
    """Refuse the options of a recording and of an API description, for a source that is neither."""
    recording_filter.check_unused(name)
    if deletes:
        refuse_deletes(name)


def _name_of(source: str | Path) -> str:
    return document_name(source) if isinstance(source, str) and is_url(source) else Path(source).name


def _read(source: str | Path) -> _Document:
    name, url = _name_of(source), ""
    if isinstance(source, str) and is_url(source):
        data, url = download(source)
    else:
        path = Path(source)
        try:
            data = read_bounded(path)
        except OSError as error:
            url = f"for a URL, write http://{source}" if _HOST.match(str(source)) else ""
            hint = "; ".join(filter(None, (_near_file(path), url, _KINDS)))
            raise PlanError(f"--from {str(source)!r} cannot be read: {error.strerror}", hint=hint) from error
    return _Document(name, Path(name).suffix.lower(), utf8_bytes(data, name), url)


def _near_file(path: Path) -> str:
    try:
        return nearest(path.name, [other.name for other in path.parent.iterdir() if other.is_file()])
    except (OSError, ValueError):
        return ""


def _is_json(document: _Document) -> bool:
    begins_so = document.data.lstrip()[:1] == b"{"
    return document.suffix in (".har", ".json") or (document.suffix not in (".yaml", ".yml") and begins_so)


def _kind(document: _Document) -> str:
    """Return what *document* is: "recording", "collection", "curl", or else "api".

    Raises:
        PlanError: it is JSON that does not parse, or of a kind that is known and not read.
    """
    if _is_json(document):
        return _kind_of_json(document)
    begin = document.data.lstrip()[:2000].lower()
    if begin.startswith(b"<"):
        if b"<jmetertestplan" in begin:
            raise PlanError(f"{document.name} is a test plan of JMeter, which is not read", hint=_OF_JMETER)
        what = "an HTML page" if b"<html" in begin or b"<!doctype html" in begin else "XML"
        raise PlanError(f"{document.name} is {what}, and no description of requests", hint=_KINDS)
    return "curl" if begins_with_curl(document.data.decode(errors="replace")) else "api"


def _kind_of_json(document: _Document) -> str:
    try:
        top = msgspec.json.decode(document.data, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError as error:
        raise PlanError(f"{document.name} holds no JSON object", hint=_KINDS) from error
    except msgspec.DecodeError as error:
        raise malformed_json(document.name, document.data, str(error)) from error
    if "log" in top or document.suffix == ".har":
        return "recording"
    if "_postman_variable_scope" in top:
        hint = "give the collection; what is in the environment is given to the run, with -e NAME=VALUE"
        raise PlanError(f"{document.name} is an environment of Postman, and has no requests", hint=hint)
    # Postman's own API wraps a collection.
    return "collection" if "collection" in top or {"info", "item"} <= {*top} else "api"
