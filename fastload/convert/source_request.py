"""A request as a source has it: a recording, a command of curl, a collection of Postman."""

from __future__ import annotations

import base64
import binascii

import msgspec


class Pair(msgspec.Struct):
    """A header or a cookie."""

    name: str
    value: str = ""


class Field(msgspec.Struct, rename="camel"):
    """A field of a form; an uploaded file has a ``file_name``."""

    name: str
    value: str = ""
    file_name: str = ""
    content_type: str = ""


class PostData(msgspec.Struct, rename="camel"):
    """The body of a request: text, which may be in Base64, fields of a form, or both."""

    mime_type: str = ""
    text: str = ""
    params: list[Field] = []
    encoding: str = ""

    def __post_init__(self) -> None:
        if self.encoding.lower() == "base64":
            try:
                self.text, self.encoding = base64.b64decode(self.text).decode(errors="replace"), ""
            except (binascii.Error, ValueError):
                # It stays as it is: no Base64.
                self.encoding = ""


class SourceRequest(msgspec.Struct, rename="camel"):
    """A request as it was sent. ``cookies`` are those that the headers may lack; ``body_size`` is -1 if unknown."""

    method: str
    url: str
    headers: list[Pair] = []
    post_data: PostData | None = None
    cookies: list[Pair] = []
    body_size: float = -1

    def __post_init__(self) -> None:
        # Some programs write the type of the body in the headers alone.
        if self.post_data is not None and not self.post_data.mime_type:
            self.post_data.mime_type = header_of(self.headers, "content-type")


def header_of(headers: list[Pair], name: str) -> str:
    """Return the value of the first header *name* (in lower case); "" if there is none."""
    return next((header.value for header in headers if header.name.lower() == name), "")


def put_header(headers: list[Pair], name: str, value: str) -> None:
    """Put the header *name* into *headers*, in place of those of this name."""
    headers[:] = [*(header for header in headers if header.name.lower() != name.lower()), Pair(name, value)]


def cookies_of(headers: list[Pair]) -> dict[str, str]:
    """Return the values of the cookies in *headers* by name."""
    lines = [header.value for header in headers if header.name.lower() == "cookie"]
    pairs = [pair.strip().partition("=")[::2] for line in lines for pair in line.split(";")]
    return {name: value for name, value in pairs if name}
