"""Parts of a collection of Postman, which may be of any type or missing: read as far as they go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def plain_text(value: Any) -> str:
    """Return *value* of a collection as the text that Postman shows; "" for None."""
    if value is None or isinstance(value, dict | list):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def mapping(value: Any) -> dict[str, Any]:
    """Return *value* if it is an object; an empty one otherwise."""
    return value if isinstance(value, dict) else {}


def enabled(items: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects of *items* that are not disabled; headers may be one text."""
    if isinstance(items, str):
        lines = (line.partition(":")[::2] for line in items.splitlines())
        items = [{"key": key.strip(), "value": value.strip()} for key, value in lines if key.strip()]
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and item.get("disabled") is not True:
            yield item


def attributes(given: Any) -> dict[str, str]:
    """Return the values of an authentication: a list of keys and values, or a mapping in format 2.0."""
    if isinstance(given, list):
        return {plain_text(one.get("key")): plain_text(one.get("value")) for one in given if isinstance(one, dict)}
    return {key: plain_text(value) for key, value in mapping(given).items()}


def scripts(item: dict[str, Any]) -> Iterator[str]:
    """Yield the texts of the scripts of a request or folder."""
    events = item.get("event")
    for event in map(mapping, events if isinstance(events, list) else ()):
        lines = mapping(event.get("script")).get("exec")
        text = "\n".join(map(plain_text, lines)) if isinstance(lines, list) else plain_text(lines)
        if text.strip() and event.get("disabled") is not True:
            yield text
