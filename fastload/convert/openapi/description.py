"""API descriptions: OpenAPI 3.0 and 3.1, as JSON or YAML. The only module that uses their parsers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, NoReturn
from urllib.parse import unquote

import msgspec

from fastload.convert.locations import json_path, malformed_json, refuse
from fastload.model.errors import PlanError, nearest, text_of_error

Steps = tuple[str | int, ...]
_EXTRA = "pip install 'fastload[new]'"
# The parser accepts only some patch versions; the differences between patch versions do not matter here.
_VERSIONS = {"3.0": "3.0.3", "3.1": "3.1.0"}
_SPECIFICATION = "see https://spec.openapis.org/oas/ for what belongs there"
_MOST_NODES = 1_000_000
"""In YAML, aliases make a few lines to any number of nodes."""
# Keywords of schemas, by what they hold: a schema, a mapping of schemas, a list of schemas, a value of any kind.
_SCHEMAS = (
    *("schema", "items", "contains", "not", "if", "then", "else", "propertyNames", "contentSchema"),
    *("unevaluatedItems", "unevaluatedProperties"),
)
_SCHEMA_MAPS = ("schemas", "properties", "patternProperties", "dependentSchemas", "$defs")
_SCHEMA_LISTS = ("allOf", "oneOf", "anyOf", "prefixItems")
_VALUES = ("example", "examples", "default", "const", "enum", "value")
_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = ("binary", "timestamp")
_FOREIGN_TAGS = ("omap", "pairs", "set")
# As JSON and YAML 1.2 write numbers: in YAML 1.1, which the parser reads, 12:30 is 750 and 1e3 is a text.
_INT = re.compile(r"[-+]?(0b[01_]+|0x[\da-fA-F_]+|0o?[0-7_]+|0|[1-9][\d_]*)")
_FLOAT = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?[eE][-+]?\d+|\d+\.\d*)|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class ApiDescription:
    """An API description. ``document`` is the decoded content, ``url`` is where it came from: "" of a file."""

    def __init__(self, name: str, data: bytes, document: dict[str, Any], url: str = "") -> None:
        self.name = name
        self.url = url
        self.document = document
        self._data = data

    def resolve(self, node: Any, steps: Steps, is_whole: Callable[[dict[str, Any]], bool] = lambda _: False) -> Any:
        """Return *node*, which is at *steps*, or the node that its chain of references leads to.

        *is_whole* says of a node with a reference whether it is to be returned as it is.

        Raises:
            PlanError: a reference has no target, leads to another file, or leads back to itself.
        """
        seen: list[str] = []
        while isinstance(node, dict) and isinstance(node.get("$ref"), str) and not is_whole(node):
            reference = node["$ref"]
            if reference in seen:
                self.refuse(steps, f"the reference {reference!r} leads back to itself")
            seen.append(reference)
            node = self._follow(reference, steps)
        return node

    def refuse(self, steps: Steps, message: str, hint: str = "") -> NoReturn:
        """Raise an error for the node at *steps*.

        Raises:
            PlanError: always.
        """
        refuse(self.name, json_path(steps), message, hint=hint, line=_line_of(self._data, steps))

    @contextmanager
    def readable(self, steps: Steps) -> Iterator[None]:
        """Turn an error of Python's own in the block into an error for the node at *steps*.

        The parsers check what is in its place, but not that a reference leads to a node of the right kind.

        Raises:
            PlanError: a node that the block reads is not as OpenAPI says.
        """
        try:
            yield
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            what = f"it leads to a part of another kind: {type(error).__name__}: {text_of_error(error)}"
            self.refuse(steps, what, _SPECIFICATION)

    def _follow(self, reference: str, steps: Steps) -> Any:
        path, _, fragment = reference.partition("#")
        if path:
            self.refuse(
                steps,
                f"the reference {reference!r} leads to another file",
                "put all of it into one file first, as 'redocly bundle' and 'swagger-cli bundle' do",
            )
        if not fragment.startswith("/"):
            hint = "write it like '#/components/schemas/Pet'"
            self.refuse(steps, f"the reference {reference!r} is no path within the file", hint)
        node: Any = self.document
        for part in unquote(fragment).split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and key.isdigit() and int(key) < len(node):
                node = node[int(key)]
            elif isinstance(node, dict) and key in node:
                node = node[key]
            else:
                beside = node if isinstance(node, dict) else {}
                self.refuse(steps, f"the reference {reference!r} leads nowhere", nearest(key, beside))
        return node


def read_openapi(name: str, data: bytes, *, is_json: bool, url: str = "") -> ApiDescription:
    """Return the description in *data*, the content of the file *name*, or of the document at *url*.

    Raises:
        PlanError: the file does not parse, has another version, or is not valid OpenAPI (with line and path); or the
            parsers are not installed.
    """
    document = _json(name, data) if is_json else _yaml(name, data)
    if not isinstance(document, dict):
        raise PlanError(f"{name} holds no object", hint="a description of an API begins with 'openapi: 3.1.0'")
    api = ApiDescription(name, data, document, url)
    version = str(document.get("openapi", ""))
    if "openapi" not in document:
        known = (
            f"it is Swagger 2: convert it first: npx swagger2openapi {name} -o openapi.yaml"
            if "swagger" in document
            else ""
        )
        api.refuse(
            (), "'openapi' is missing", known or "give a recording (HAR), or a description of an API (OpenAPI 3)"
        )
    if version[:3] not in _VERSIONS:
        api.refuse(("openapi",), f"version {version!r} is not read", "3.0 and 3.1 are")
    _validate(api, _VERSIONS[version[:3]])
    return api


def _validate(api: ApiDescription, version: str) -> None:
    try:
        from openapi_pydantic import parse_obj
        from pydantic import ValidationError
    except ImportError as error:
        raise PlanError("reading OpenAPI needs openapi-pydantic, which is not installed", hint=_EXTRA) from error
    checked = {**_with_object_schemas(api, version), "openapi": version}
    info = checked.get("info")
    if isinstance(info, dict) and isinstance(info.get("version"), int | float):
        # An unquoted 1.0 is a number in YAML, but a version here.
        checked["info"] = {**info, "version": str(info["version"])}
    try:
        parse_obj(checked)
    except ValidationError as invalid:
        errors = invalid.errors()
        # Where a reference is allowed, the parser reports every other node as "no reference": drop these errors.
        own = [error for error in errors if error["loc"][-2:] != ("Reference", "$ref")] or errors
        steps, rest = _place(api.document, own[0]["loc"])
        missing = own[0]["type"] == "missing"
        message = f"{rest!r} is missing" if missing else own[0]["msg"][:1].lower() + own[0]["msg"][1:]
        more = f" (and {len(own) - 1} more)" if len(own) > 1 else ""
        api.refuse(steps, message + more, _SPECIFICATION)


def _with_object_schemas(api: ApiDescription, version: str) -> dict[str, Any]:
    """Return the document with objects in place of the schemas ``true`` and ``false``, which OpenAPI 3.0 does not have.

    The parser knows them in some places only.
    """
    if not version.startswith("3.1"):
        return api.document

    def schema(node: Any) -> Any:
        return ({} if node else {"not": {}}) if isinstance(node, bool) else copied(node)

    def copied(node: Any) -> Any:
        if isinstance(node, list):
            return [copied(one) for one in node]
        if not isinstance(node, dict):
            return node
        found: dict[str, Any] = {}
        for key, value in node.items():
            if key in _SCHEMA_MAPS and isinstance(value, dict):
                found[key] = {name: schema(one) for name, one in value.items()}
            elif key in _SCHEMA_LISTS and isinstance(value, list):
                found[key] = [schema(one) for one in value]
            elif key in _SCHEMAS:
                found[key] = schema(value)
            else:
                found[key] = value if key in _VALUES else copied(value)
        return found

    try:
        return dict(copied(api.document))
    except RecursionError:
        api.refuse((), "it has too many levels", "see to its brackets and its indents")


def _place(document: Any, loc: Sequence[str | int]) -> tuple[Steps, str]:
    """Return the steps of *loc* that exist in the document, and the last step of *loc*.

    Between the steps of the document, the parser names its own types.
    """
    steps: list[str | int] = []
    node = document
    for step in loc:
        known = range(len(node)) if isinstance(node, list) else node if isinstance(node, dict) else ()
        if step in known:
            node = node[step]
            steps.append(step)
    return tuple(steps), str(loc[-1]) if loc else ""


def _json(name: str, data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise malformed_json(name, data, str(error)) from error


def _yaml(name: str, data: bytes) -> Any:
    loader = _yaml_loader()
    import yaml

    try:
        document = yaml.load(data, loader)
        _check_size(name, document)
        return document
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise PlanError(f"{where}: the YAML is malformed: {error.problem}", hint="see to that line") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PlanError(f"{name}: the YAML is malformed: {error}", hint="write it as UTF-8") from error
    except RecursionError as error:
        raise PlanError(f"{name}: the YAML has too many levels", hint="see to its brackets and its indents") from error
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        # A number of thousands of digits, or a tag like !!int before what is none.
        what = f"{name}: a value of the YAML cannot be read: {text_of_error(error)}"
        raise PlanError(what, hint="write it as a text, in quotes") from error


def _check_size(name: str, document: Any) -> None:
    left, count = [document], 0
    while left:
        node = left.pop()
        inside = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        count += len(inside)
        if count > _MOST_NODES:
            what = f"{name}: with its aliases, the YAML has over {_MOST_NODES:,} values"
            raise PlanError(what, hint="write references ($ref) in place of aliases (*)")
        left += inside


@cache
def _yaml_loader() -> Any:
    """Return a loader for the types of JSON: dates and binary data stay texts, all keys are texts, and so on.

    Raises:
        PlanError: PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise PlanError("reading YAML needs PyYAML, which is not installed", hint=_EXTRA) from error
    # The loader in C is ten times as fast; not every build of PyYAML has it.
    loader: Any = type("Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
    loader.yaml_implicit_resolvers = {
        first: [
            (tag, pattern)
            for tag, pattern in pairs
            if tag not in (f"{_TAG}timestamp", f"{_TAG}int", f"{_TAG}float")
            and not (tag == f"{_TAG}bool" and first not in "tTfF")
        ]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    loader.add_implicit_resolver(f"{_TAG}int", re.compile(f"(?:{_INT.pattern})$"), list("-+0123456789"))
    loader.add_implicit_resolver(f"{_TAG}float", re.compile(f"(?:{_FLOAT.pattern})$"), list("-+0123456789."))
    loader.add_constructor(f"{_TAG}map", _mapping)
    for tag in _TEXT_TAGS:
        loader.add_constructor(f"{_TAG}{tag}", partial(_text, getattr(loader, f"construct_yaml_{tag}")))
    for tag in _FOREIGN_TAGS:
        loader.add_constructor(f"{_TAG}{tag}", _refuse_tag)
    return loader


def _text(construct: Callable[[Any, Any], Any], loader: Any, node: Any) -> str:
    """Return the text of *node*, as JSON would have it; *construct* raises the errors of what it is not."""
    construct(loader, node)
    return "".join(node.value.split()) if node.tag == f"{_TAG}binary" else str(node.value)


def _refuse_tag(_loader: Any, node: Any) -> NoReturn:
    raise _foreign(node, f"!!{node.tag.removeprefix(_TAG)}")


def _foreign(node: Any, what: str) -> Exception:
    """Return the error for *node*, which is *what*: nothing that JSON has."""
    import yaml

    error: Exception = yaml.constructor.ConstructorError(None, None, f"JSON has nothing like {what}", node.start_mark)
    return error


def _mapping(loader: Any, node: Any) -> dict[str, Any]:
    loader.flatten_mapping(node)
    for key, _ in node.value:
        if not isinstance(key.value, str):
            raise _foreign(key, "a key that is no text")
    return {key.value: loader.construct_object(value, deep=True) for key, value in node.value}


def _line_of(data: bytes, steps: Steps) -> int | None:
    """Return the line, from 1, of the node at *steps* in *data* (JSON or YAML); None if it is unknown."""
    try:
        import yaml
    except ImportError:
        return None
    line = None
    try:
        node: Any = yaml.compose(data, _yaml_loader())
        for step in steps:
            if isinstance(step, int):
                node = node.value[step]
                line = node.start_mark.line
            else:
                key, node = next(pair for pair in node.value if pair[0].value == step)
                line = key.start_mark.line
    except (yaml.YAMLError, StopIteration, LookupError, AttributeError, TypeError, ValueError, RecursionError):
        # Steps through features of YAML alone, like merged mappings, are not found: the last found line is close.
        pass
    return None if line is None else int(line) + 1
