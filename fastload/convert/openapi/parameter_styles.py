"""Parameter styles of OpenAPI: how a value is written in a path, a query or form, a header and a cookie (RFC 6570).

A value is what JSON has: a text, a number, a bool, null, a list, or an object. Delimiters are sent as they are. What is
between them is percent-encoded, so that a comma within an item is not taken for the end of the item.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

_DELIMITERS = {"form": ",", "spaceDelimited": "%20", "pipeDelimited": "%7C"}
_DEFAULT_STYLES = {"path": "simple", "header": "simple", "query": "form", "cookie": "form"}
# What label and matrix write before each item of an exploded value.
_BETWEEN = {"label": ".", "matrix": ";"}
# What a cookie can have as it is (RFC 6265), but for the sign that begins an escape.
_SAFE_IN_COOKIES = "!#$&'()*+-./:<=>?@[]^_`{|}~"


class Style(NamedTuple):
    """A style of OpenAPI; *exploded* values have a name of their own for each item."""

    name: str
    exploded: bool


class Query(NamedTuple):
    """Parts of a query or form: *params* by name, and *encoded* ones, like ``a=1,2``, for what no mapping can say."""

    params: dict[str, Any]
    encoded: list[str]


def style_of(holder: Mapping[str, Any], place: str) -> Style:
    """Return the style of *holder*, a parameter or an encoding, whose *place* is a path, header, query or cookie."""
    name = holder.get("style") or _DEFAULT_STYLES[place]
    return Style(name, holder.get("explode", name in ("form", "deepObject")))


def json_text(value: Any) -> str:
    """Return *value* as JSON in its shortest form."""
    return orjson.dumps(value).decode()


def text_of(value: Any) -> str:
    """Return *value* as a text: bools as in JSON, null as an empty text, and what is in another value as JSON."""
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    return json_text(value) if isinstance(value, dict | list) else str(value)


def query_value(value: Any) -> Any:
    """Return *value* for a mapping of a query or form: as `text_of`, but numbers stay numbers."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else text_of(value)


def in_query(name: str, value: Any, style: Style) -> Query:
    """Return the parts of a query, or of a form, for the *value* of parameter *name*."""
    if isinstance(value, dict) and style.name == "deepObject":
        return Query(dict(_deep(name, value)), [])
    if not isinstance(value, dict | list):
        return Query({name: query_value(value)}, [])
    if style.exploded or style.name == "deepObject":
        return Query(value_by_name(name, value), [])
    items = _items(value)
    if len(items) == 1:
        return Query({name: items[0]}, [])
    delimiter = _DELIMITERS.get(style.name, ",")
    return Query({}, [f"{quote(name, safe='')}={delimiter.join(map(_encoded, items))}"])


def value_by_name(name: str, value: Any) -> dict[str, Any]:
    """Return *value* of the exploded parameter *name* by name: an object has names of its own, a list shares one."""
    if isinstance(value, dict):
        return {key: query_value(item) for key, item in value.items()}
    return {name: [query_value(item) for item in value] if isinstance(value, list) else query_value(value)}


def in_path(name: str, value: dict[str, Any] | list[Any], style: Style) -> str:
    """Return what stands in a path for the list or object *value* of parameter *name*."""
    between = _BETWEEN.get(style.name, ",") if style.exploded else ","
    if isinstance(value, dict) and style.exploded:
        named = between.join(f"{_encoded(key)}={_encoded(text_of(item))}" for key, item in value.items())
        return _BETWEEN.get(style.name, "") + named
    if style.name == "matrix" and style.exploded:
        return "".join(path_prefix(name, style) + _encoded(item) for item in _items(value))
    return path_prefix(name, style) + between.join(map(_encoded, _items(value)))


def path_prefix(name: str, style: Style) -> str:
    """Return what comes before the value of parameter *name* in a path."""
    return {"label": ".", "matrix": f";{_encoded(name)}="}.get(style.name, "")


def in_header(value: Any, style: Style) -> str:
    """Return *value* as the text of a header. Nothing is encoded: headers have no escapes."""
    if isinstance(value, dict) and style.exploded:
        return ",".join(f"{key}={text_of(item)}" for key, item in value.items())
    return ",".join(_items(value)) if isinstance(value, dict | list) else text_of(value)


def in_cookies(name: str, value: Any, style: Style) -> dict[str, str]:
    """Return the cookies for parameter *name*: of an exploded object one for each of its names."""
    if isinstance(value, dict) and style.exploded:
        return {key: quote(text_of(item), safe=_SAFE_IN_COOKIES) for key, item in value.items()}
    items = _items(value) if isinstance(value, dict | list) else [text_of(value)]
    return {name: ",".join(quote(item, safe=_SAFE_IN_COOKIES) for item in items)}


def _items(value: dict[str, Any] | list[Any]) -> list[str]:
    """Return the texts of a list, or the names and the values of an object in turn."""
    return [
        text_of(item) for item in (value if isinstance(value, list) else (x for pair in value.items() for x in pair))
    ]


def _deep(name: str, value: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the fields of an object in brackets, to any depth; OpenAPI does not say what is below the first level."""
    found: list[tuple[str, Any]] = []
    for key, item in value.items():
        inner = f"{name}[{key}]"
        found += _deep(inner, item) if isinstance(item, dict) else value_by_name(inner, item).items()
    return found


def _encoded(text: str) -> str:
    return quote(text, safe="")
