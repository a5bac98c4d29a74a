"""Bodies in commands of curl: the pieces of ``-d``, and the parts of ``-F``."""

from __future__ import annotations

import mimetypes
import re
from pathlib import PurePath
from typing import NamedTuple

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r'\\(["\\])')
# What curl takes from the name of a file; of any other it says that it is bytes.
_TYPES = {
    ".gif": "image/gif",
    ".htm": "text/html",
    ".html": "text/html",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".xml": "application/xml",
}
# Of -F, beside the type.
_OPTIONS = ("filename", "headers", "encoder")
_BYTES = "application/octet-stream"
# The same on each machine, whatever its own table says.
_PYTHON_TYPES = mimetypes.MimeTypes(())


class FilePiece(NamedTuple):
    """A file in a body: the whole of it, or without its line ends, as ``-d`` sends it."""

    path: str
    is_without_line_ends: bool = False


class FormPart(NamedTuple):
    """A part of a multipart form: the text of a field, or the file at ``path``, which the server is told as ``shown``.

    ``kind`` is its media type; "" of one that has none.
    """

    name: str
    text: str = ""
    path: str = ""
    shown: str = ""
    kind: str = ""

    @property
    def is_plain_path(self) -> bool:
        """Whether the name and the type are those that the client takes from the path."""
        name = PurePath(self.path).name
        return self.shown == name and self.kind == _PYTHON_TYPES.guess_type(name)[0]


def file_path(text: str) -> str:
    """Return *text* as the path of a file.

    Raises:
        ValueError: it is standard input.
    """
    if text in ("-", "."):
        raise ValueError(f"a body is read from {text!r}, which is standard input: put it into a file")
    return text


def joined_data(pieces: list[str | FilePiece], *, is_json: bool) -> list[str | FilePiece]:
    """Return *pieces* as they are sent: with ``&`` between those of a form, and texts side by side as one."""
    found: list[str | FilePiece] = []
    for number, piece in enumerate(pieces):
        for one in ("" if is_json or not number else "&", piece):
            if isinstance(one, str) and found and isinstance(found[-1], str):
                found[-1] += one
            elif one:
                found.append(one)
    return found


def form_part(text: str) -> tuple[FormPart, list[str]]:
    """Return the part that *text* of ``-F`` says, and the names of its options that are not taken.

    Raises:
        ValueError: it is several files, or parts within a part.
    """
    name, _, value = text.partition("=")
    sign = value[:1] if value[:1] in ("@", "<") else ""
    if not sign and value[:1] in ("(", ")"):
        raise ValueError(f"-F {name} has parts within a part, which are not taken")
    content, options = _value_and_options(value[len(sign) :])
    kind = options.pop("type", "")
    shown = options.pop("filename", PurePath(content).name if sign == "@" else "").strip('"')
    left = [*options]
    if not sign:
        return FormPart(name, content, shown=shown, kind=kind), left
    if sign == "@" and "," in content and not _QUOTED.match(value[1:]):
        raise ValueError(f"-F {name} has several files: give each as one of its own")
    if sign == "@":
        kind = kind or _TYPES.get(PurePath(shown).suffix.lower()) or _type_of(content)
    return FormPart(name, path=file_path(content), shown=shown, kind=kind), left


def _type_of(path: str) -> str:
    return _TYPES.get(PurePath(path).suffix.lower(), _BYTES)


def _value_and_options(text: str) -> tuple[str, dict[str, str]]:
    """Return the value in *text*, which may be in quotes, and its options, as in ``VALUE;type=TYPE``."""
    found = _QUOTED.match(text)
    value = _ESCAPED.sub(r"\1", found[1]) if found else text.partition(";")[0]
    options: dict[str, str] = {}
    for option in text[found.end() if found else 0 :].split(";")[1:]:
        key, _, given = option.strip().partition("=")
        if "type" in options and key not in ("type", *_OPTIONS):
            # A parameter of the type, as in type=text/plain;charset=utf-8.
            options["type"] += f";{option}"
        else:
            options[key] = given
    return value, options
