"""Source files of scripts: finds out their kind, and converts them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from fastload.convert.har import read_har
from fastload.convert.locations import malformed_json
from fastload.convert.openapi import read_openapi
from fastload.convert.operations import refuse_deletes, script_of_api
from fastload.convert.recording import script_of_recording
from fastload.convert.visits import RecordingFilter
from fastload.convert.writer import Conversion
from fastload.model.bounded_read import read_bounded
from fastload.model.errors import PlanError
from fastload.model.file_text import utf8_bytes

_KINDS = "give a recording (HAR), or a description of an API (OpenAPI 3, as JSON or YAML)"


def convert(path: Path, title: str, recording_filter: RecordingFilter, *, deletes: bool = False) -> Conversion:
    """Return a script made from the recording, or from the API description, at *path*.

    Args:
        title: the path of the script, for its docstring; the stem of the path is the name of the scenario.
        recording_filter: the requests of a recording to keep.
        deletes: of an API description, call the operations that delete, too.

    Raises:
        PlanError: the file does not exist, does not parse, or has nothing to make requests from; or options of a
            recording were given for an API description, or the other way round.
    """
    data = _read(path)
    if _is_json(path, data) and _is_recording(path, data):
        if deletes:
            refuse_deletes(path.name)
        return script_of_recording(read_har(path.name, data), path.name, title, recording_filter)
    recording_filter.check_unused(path.name)
    return script_of_api(read_openapi(path.name, data, is_json=_is_json(path, data)), path.name, title, deletes=deletes)


def _read(path: Path) -> bytes:
    try:
        data = read_bounded(path)
    except OSError as error:
        raise PlanError(f"--from {str(path)!r} cannot be read: {error.strerror}", hint=_KINDS) from error
    return utf8_bytes(data, path.name)


def _is_json(path: Path, data: bytes) -> bool:
    suffix = path.suffix.lower()
    return suffix in (".har", ".json") or (suffix not in (".yaml", ".yml") and data.lstrip()[:1] == b"{")


def _is_recording(path: Path, data: bytes) -> bool:
    """Return whether the JSON object is a recording; otherwise it is an API description."""
    try:
        top = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError as error:
        raise PlanError(f"{path.name} holds no JSON object", hint=_KINDS) from error
    except msgspec.DecodeError as error:
        raise malformed_json(path.name, data, str(error)) from error
    if "log" in top or path.suffix.lower() == ".har":
        return True
    if "info" in top and "item" in top:
        raise PlanError(
            f"{path.name} seems to be a collection of Postman, which is not read",
            hint="export it as OpenAPI 3, or record the requests as a HAR file",
        )
    return False
