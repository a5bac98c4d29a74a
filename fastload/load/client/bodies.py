"""Request bodies, encoded from the options ``json``, ``data`` and ``files`` of a request."""

from __future__ import annotations

import mimetypes
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson

from fastload.load.engine.pairs import pairs_of
from fastload.model.errors import PlanError, nearest_file
from fastload.model.http_settings import Body, FileBody, Multipart, Part
from fastload.model.wire_text import LENIENT, check_line, utf8

Data = bytes | str | Path | Mapping[str, Any] | Iterable[tuple[str, Any]]
"""A raw body, a file to stream, or the fields of a form: by name, or as pairs, in which a name may come twice."""
FileSpec = Path | bytes | tuple[str, Path | bytes | str] | tuple[str, Path | bytes | str, str]
"""A file to stream, its content, or ``(filename, content)`` and ``(filename, content, content type)``."""
Files = Mapping[str, FileSpec] | Iterable[tuple[str, FileSpec]]

JSON_LINE = "Content-Type: application/json"
_FORM = "Content-Type: application/x-www-form-urlencoded"
_FORM_EXAMPLE = 'data={"name": "value"}'
_UNKNOWN_TYPE = "application/octet-stream"


def body_of(json: Any, data: Data | None, files: Files | None) -> tuple[Body | None, str]:
    """Return the body and its Content-Type header line; the line is "" if the body implies no type.

    Raises:
        PlanError: *json* cannot be encoded or is given together with another body, a file cannot be read, or a value is
            not a body.
    """
    if files is not None:
        if json is not None:
            raise PlanError("json and files are both given", hint="give the fields beside files as data={...}")
        body = Multipart((*_fields(data), *_files(files)))
        return body, f"Content-Type: {body.content_type}"
    if json is not None:
        if data is not None:
            raise PlanError("json and data are both given", hint="give one of them")
        try:
            return json if isinstance(json, bytes) else orjson.dumps(json), JSON_LINE
        except TypeError:
            return encode_unusual(json), JSON_LINE
    if data is None:
        return None, ""
    if isinstance(data, Path):
        return file_body(data, what="data"), f"Content-Type: {_type_of(data.name)}"
    if isinstance(data, Mapping | list | tuple | Iterator):
        fields = pairs_of(data, "data", _FORM_EXAMPLE)
        return urlencode(fields, doseq=True, errors=LENIENT).encode(), _FORM
    return _raw(data, "data"), ""


def encode_unusual(json: Any) -> bytes:
    """Return *json* as bytes, with the numbers and arrays of numpy, and with keys that are no texts, like numbers.

    A key becomes the text that Python's `json` makes of it. This is slower, so it is for what plain orjson refuses.

    Raises:
        PlanError: it has other values or keys than these.
    """
    try:
        return orjson.dumps(json, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    except TypeError as error:
        raise json_error(error) from None


def json_error(error: TypeError) -> PlanError:
    """Return the error for a value of ``json`` that orjson refuses with *error*."""
    text = str(error)
    if text.startswith("Dict key must"):
        text = "a key of a dict is no text, number, boolean or None"
        return PlanError(f"json cannot be encoded: {text}", hint="write the key as a text, or give a list of pairs")
    return PlanError(
        f"json cannot be encoded: {text}",
        hint="give dicts, lists, texts, numbers, booleans and None; a set as sorted(...)",
    )


def file_body(path: Path, *, what: str) -> FileBody:
    """Return a body that streams the whole file *path*. *what* names the option in errors.

    Raises:
        PlanError: the file does not exist, is not a regular file, or is not readable.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        hint = "relative paths are relative to where fastload was started" if not path.is_absolute() else ""
        hint = hint and f'{hint}; write Path(__file__).parent / "{path}" for one beside the script'
        problem = error.strerror if isinstance(error, OSError) else error
        raise PlanError(
            f"{what}: the file {str(path)!r} cannot be sent: {problem}",
            hint="; ".join(filter(None, (_near_file(path), hint))),
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise PlanError(f"{what}: {str(path)!r} is no file", hint="give the path of a regular file")
    if not os.access(path, os.R_OK):
        raise PlanError(f"{what}: the file {str(path)!r} may not be read", hint="check its permissions")
    return FileBody(str(path))


def _near_file(path: Path) -> str:
    try:
        return nearest_file(path.name, [other.name for other in path.parent.iterdir() if other.is_file()])
    except (OSError, ValueError):
        return ""


def _fields(data: Data | None) -> list[Part]:
    if data is None:
        return []
    found = []
    for name, value in pairs_of(data, "data beside files", f"{_FORM_EXAMPLE}, files={{...}}"):
        values = value if isinstance(value, list | tuple) else (value,)
        found += [Part(str(name), one if isinstance(one, bytes) else utf8(str(one))) for one in values]
    return found


def _files(files: Files) -> list[Part]:
    return [_file(name, spec) for name, spec in pairs_of(files, "files", 'files={"photo": Path("photo.jpg")}')]


def _file(name: str, spec: Any) -> Part:
    what = f"files: {name}"
    match spec:
        case Path():
            return Part(name, file_body(spec, what=what), spec.name, _type_of(spec.name))
        case bytes():
            return Part(name, spec, name, _UNKNOWN_TYPE)
        case (str(filename), content):
            return Part(name, _content(content, what), filename, _type_of(filename))
        case (str(filename), content, str(content_type)):
            check_line(content_type, f"{what}: its content type")
            return Part(name, _content(content, what), filename, content_type)
    raise PlanError(
        f"{what} is a {type(spec).__name__}",
        hint='give Path("photo.jpg"), bytes, or ("photo.jpg", content, "image/jpeg")',
    )


def _content(content: Any, what: str) -> bytes | FileBody:
    return file_body(content, what=what) if isinstance(content, Path) else _raw(content, what)


def _raw(content: Any, what: str) -> bytes:
    if isinstance(content, str):
        return utf8(content)
    if isinstance(content, bytes):
        return content
    if isinstance(content, bytearray | memoryview):
        return bytes(content)
    raise PlanError(
        f"{what} is a {type(content).__name__}",
        hint="give bytes or a str; for a file its path: Path(...)",
    )


def _type_of(filename: str) -> str:
    return mimetypes.guess_type(filename)[0] or _UNKNOWN_TYPE
