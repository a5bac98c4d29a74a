"""Bodies of the operations of an API description: JSON, forms, multipart forms with files, and texts."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from fastload.convert.openapi.description import ApiDescription, Steps
from fastload.convert.openapi.examples import NO_VALUE, Examples
from fastload.convert.openapi.operation import Operation
from fastload.convert.openapi.parameter_styles import in_query, json_text, query_value, style_of, text_of
from fastload.convert.openapi.schemas import Schemas
from fastload.convert.openapi.secrets import HiddenSecrets
from fastload.convert.script.bodies import bare_type
from fastload.convert.script.names import counted
from fastload.convert.script.request_writer import FORM, JSON

MULTIPART = "multipart/form-data"
_BINARY = "application/octet-stream"
_STYLED = ("style", "explode", "allowReserved")
# Of a range of media types, the one to send.
_OF_RANGES = {
    "*/*": JSON,
    "application/*": JSON,
    "text/*": "text/plain",
    "image/*": "image/png",
    "audio/*": "audio/mpeg",
}
_CONTENT = b"..."
_TEXT = {"type": "string"}


def is_json(media_type: str) -> bool:
    """Return whether what has *media_type* is JSON."""
    bare = bare_type(media_type)
    return bare == JSON or bare.endswith("+json")


class Bodies:
    """Adds bodies to operations. It remembers, for its notes, what could not be written as it is described."""

    def __init__(self, api: ApiDescription, schemas: Schemas, examples: Examples, secrets: HiddenSecrets) -> None:
        self._api, self._schemas, self._examples, self._secrets = api, schemas, examples, secrets
        # In OpenAPI 3.0, all parts of a multipart form go by their content types.
        self._parts_have_styles = str(api.document["openapi"]).startswith("3.1")
        self._unsent: list[str] = []
        self._without_value: list[str] = []
        self._chosen: list[str] = []
        self._without_headers: list[str] = []
        self._files: list[str] = []

    def notes(self) -> Iterator[str]:
        """Return what to see to."""
        if self._unsent:
            yield f"no body is written for these, see to them: {counted(self._unsent)}"
        if self._without_value:
            what = counted(self._without_value)
            yield f"no body is written for these, for no value that ends fits its schema: {what}"
        if self._chosen:
            yield f"of several media types of a body, one is written: {counted(self._chosen)}"
        if self._files:
            yield f'give real content in place of b"...": {counted(self._files)}'
        if self._without_headers:
            yield f"parts of a form have no headers of their own here: {counted(self._without_headers)}"

    def add(self, operation: Operation, body: Any, steps: Steps) -> None:
        """Add the request body *body*, which is at *steps*, to *operation*."""
        contents = self._api.resolve(body, steps).get("content") or {}
        kind = _preferred(contents)
        if kind is None:
            return
        if len(contents) > 1:
            self._chosen.append(f"{kind} of {operation.title}")
        place: Steps = (*steps, "content", kind)
        media = self._api.resolve(contents[kind], place)
        bare = _OF_RANGES.get(bare_type(kind), bare_type(kind))
        value = self._examples.of_holder(media, place)
        if value is NO_VALUE:
            self._without_value.append(operation.title)
            operation.comments.append("No value that ends fits the schema of its body: give one of your own.")
            return
        value = self._secrets.hide(value)
        if is_json(bare):
            operation.body = {"json": value}
            if bare != JSON:
                operation.headers["Content-Type"] = kind
        elif bare == FORM and isinstance(value, dict):
            self._add_form(operation, media, value)
        elif bare == MULTIPART and isinstance(value, dict):
            operation.body = self._parts(operation, media, value, place)
        elif self._is_binary(media, bare, place):
            operation.body = {"data": _CONTENT}
            operation.headers["Content-Type"] = bare
            self._files.append(operation.title)
        elif not isinstance(value, dict | list) and not bare.startswith("multipart/"):
            operation.body = {"data": text_of(value)}
            operation.headers["Content-Type"] = kind if "*" not in kind else bare
        else:
            self._unsent.append(f"{operation.title} ({bare})")

    def _add_form(self, operation: Operation, media: Mapping[str, Any], value: dict[str, Any]) -> None:
        fields: dict[str, Any] = {}
        encoded: list[str] = []
        for name, item in value.items():
            encoding = (media.get("encoding") or {}).get(name) or {}
            if any(key in encoding for key in _STYLED):
                query = in_query(name, item, style_of(encoding, "query"))
                fields |= query.params
                encoded += query.encoded
            else:
                as_json = is_json(_first_type(encoding))
                items = [json_text(one) if as_json else query_value(one) for one in _listed(item)]
                fields[name] = items if isinstance(item, list) else items[0]
        operation.body = {"data": fields}
        if encoded:
            # A mapping would encode the delimiters too, which tell one value from the next.
            operation.body = {"data": "&".join(filter(None, [urlencode(fields, doseq=True), *encoded]))}
            operation.headers["Content-Type"] = FORM

    def _parts(
        self, operation: Operation, media: Mapping[str, Any], value: dict[str, Any], steps: Steps
    ) -> dict[str, Any]:
        """Return the keyword arguments of a multipart form: its fields, and its files and what else has a type."""
        place = (*steps, "schema")
        properties = self._schemas.whole(media.get("schema", True), place).get("properties") or {}
        data: dict[str, Any] = {}
        files: list[tuple[str, Any]] = []
        for name, item in value.items():
            encoding = (media.get("encoding") or {}).get(name) or {}
            if encoding.get("headers"):
                self._without_headers.append(f"{name} of {operation.title}")
            if self._parts_have_styles and any(key in encoding for key in _STYLED):
                query = in_query(name, item, style_of(encoding, "query"))
                data |= query.params
                if query.encoded:
                    data[name] = _delimited(item, encoding)
                continue
            schema = self._schemas.whole(properties.get(name, _TEXT), (*place, "properties", name))
            if isinstance(item, list):
                schema = self._schemas.whole(schema.get("items", True), (*place, "properties", name, "items"))
            texts, typed = self._typed_parts(operation, name, item, schema, _first_type(encoding))
            files += typed
            if texts:
                data[name] = texts if isinstance(item, list) else texts[0]
        names = [name for name, _ in files]
        # Keep files even if it is empty: it makes the body a multipart form.
        return ({"data": data} if data else {}) | {"files": files if len({*names}) < len(names) else dict(files)}

    def _typed_parts(
        self, operation: Operation, name: str, item: Any, schema: dict[str, Any], media_type: str
    ) -> tuple[list[Any], list[tuple[str, Any]]]:
        """Return the texts among the parts of *name*, and the parts that have a file name or a media type."""
        texts: list[Any] = []
        typed: list[tuple[str, Any]] = []
        items = _listed(item)
        for number, one in enumerate(items, 1):
            if self._is_file(schema, media_type):
                self._files.append(f"{name} of {operation.title}")
                typed.append((name, _file(name if len(items) == 1 else f"{name}_{number}", schema, media_type)))
            elif is_json(media_type) or (isinstance(one, dict | list) and not media_type):
                typed.append((name, ("", json_text(one), media_type or JSON)))
            elif media_type and bare_type(media_type) != "text/plain":
                typed.append((name, ("", text_of(one), media_type)))
            else:
                texts.append(query_value(one))
        return texts, typed

    def _is_file(self, schema: dict[str, Any], media_type: str) -> bool:
        if schema.get("format") == "binary":
            return True
        if "contentEncoding" in schema:
            return False
        if "contentMediaType" in schema:
            return not is_json(schema["contentMediaType"])
        # In OpenAPI 3.1, what may be anything is bytes.
        return self._parts_have_styles and not schema and not is_json(media_type) and not media_type.startswith("text/")

    def _is_binary(self, media: Mapping[str, Any], media_type: str, steps: Steps) -> bool:
        schema = self._schemas.whole(media.get("schema", True), (*steps, "schema"))
        if media_type.startswith(("text/", "multipart/")) or "xml" in media_type or "contentEncoding" in schema:
            return False
        return schema.get("format") == "binary" or "contentMediaType" in schema or not schema


def _preferred(contents: Mapping[str, Any]) -> str | None:
    """Return the media type to send: JSON, else a form, else the first one; None if there is none."""
    bare = {bare_type(kind): kind for kind in contents}
    json = next((kind for kind in bare if kind.endswith("+json")), "")
    return next((bare[kind] for kind in (JSON, json, FORM) if kind in bare), next(iter(contents), None))


def _first_type(encoding: Mapping[str, Any]) -> str:
    """Return the first media type of *encoding*, which may list several; "" if it has none."""
    first = str(encoding.get("contentType") or "").partition(",")[0].strip()
    return _OF_RANGES.get(first, first)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _delimited(value: Any, encoding: Mapping[str, Any]) -> str:
    """Return *value* with its delimiters, in a multipart form, where nothing is encoded."""
    items = value if isinstance(value, list) else [part for pair in value.items() for part in pair]
    between = {"spaceDelimited": " ", "pipeDelimited": "|"}.get(encoding.get("style", ""), ",")
    return between.join(map(text_of, items))


def _file(name: str, schema: dict[str, Any], media_type: str) -> tuple[Any, ...]:
    """Return a file for ``files={...}``; its media type only if that does not follow from its name."""
    kind = media_type or str(schema.get("contentMediaType") or _BINARY)
    ending = mimetypes.guess_extension(bare_type(kind)) or ".bin"
    told = mimetypes.guess_type(f"a{ending}")[0]
    return (f"{name}{ending}", _CONTENT) if told == kind else (f"{name}{ending}", _CONTENT, kind)
