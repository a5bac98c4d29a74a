"""Schemas of an API description, made whole: references resolved, ``allOf`` merged, bounds as OpenAPI 3.1 has them."""

from __future__ import annotations

import math
from typing import Any

from fastload.convert.openapi.description import ApiDescription, Steps

NOTHING: dict[str, Any] = {"not": {}}
"""The schema ``false``, which no value fits."""
CHOICES = ("oneOf", "anyOf")
# They say nothing of the values.
_ANNOTATIONS = ("$comment", "title", "summary", "description", "deprecated", "externalDocs", "xml")
_GIVEN = ("example", "examples", "default")
_DEEPEST = 40
"""Levels of ``allOf`` within each other, beyond which one is taken for a circle."""


class Schemas:
    """Makes schemas whole. The same node gives the same object: its ``id`` tells whether it was there before."""

    def __init__(self, api: ApiDescription) -> None:
        self._api = api
        self._siblings_matter = str(api.document.get("openapi", "")).startswith("3.1")
        # The nodes are kept, or their ids would be used again.
        self._whole: dict[int, tuple[Any, dict[str, Any]]] = {}
        # Schemas that are nothing but an ``allOf``, by the ids of its parts: merged properties that refer to the schema
        # of their own parents would be new ones at each level.
        self._of_parts: dict[tuple[int, ...], dict[str, Any]] = {}

    def whole(self, node: Any, steps: Steps, depth: int = 0) -> dict[str, Any]:
        """Return *node*, which is at *steps*, with its references and its ``allOf`` merged into it.

        Raises:
            PlanError: a reference has no target, or leads back to itself.
        """
        node = self._resolved(node, steps)
        if isinstance(node, bool):
            return {} if node else NOTHING
        if not isinstance(node, dict):
            self._api.refuse(steps, "it is no schema", "a schema is an object, in OpenAPI 3.1 also true or false")
        if id(node) not in self._whole:
            self._whole[id(node)] = node, self._merged(node, steps, depth)
        return self._whole[id(node)][1]

    def _resolved(self, node: Any, steps: Steps) -> Any:
        """Return what *node* refers to. In OpenAPI 3.1, what is beside a reference counts as well."""
        node = self._api.resolve(node, steps, self._says_more)
        if not isinstance(node, dict) or not isinstance(node.get("$ref"), str):
            return node
        if id(node) not in self._whole:
            beside = {key: value for key, value in node.items() if key != "$ref"}
            self._whole[id(node)] = node, self._merged({"allOf": [{"$ref": node["$ref"]}], **beside}, steps, 1)
        return self._whole[id(node)][1]

    def _says_more(self, node: dict[str, Any]) -> bool:
        return self._siblings_matter and any(key != "$ref" and key not in _ANNOTATIONS for key in node)

    def _merged(self, node: dict[str, Any], steps: Steps, depth: int) -> dict[str, Any]:
        if depth > _DEEPEST:
            self._api.refuse(steps, "its 'allOf' leads back to itself")
        listed = enumerate(node.get("allOf") or ())
        parts = [self.whole(part, (*steps, "allOf", number), depth + 1) for number, part in listed]
        if any(part is NOTHING for part in parts):
            return NOTHING
        own = _with_plain_bounds({key: value for key, value in node.items() if key != "allOf"})
        known = tuple(sorted(map(id, parts)))
        if not own and known in self._of_parts:
            return self._of_parts[known]
        merged = own
        for part in parts:
            merged = _both(_with_examples_of_properties(part), merged)
        if not own:
            self._of_parts[known] = merged
        return merged


def with_choice(schema: dict[str, Any], key: str, one: Any) -> Any:
    """Return *schema* with *one* of the schemas in its ``oneOf`` or ``anyOf``, which is *key*."""
    rest = {name: value for name, value in schema.items() if name not in (key, "discriminator", *_ANNOTATIONS)}
    return {"allOf": [one], **rest} if rest else one


def types_of(schema: dict[str, Any]) -> list[str]:
    """Return the types that *schema* names; empty if it names none."""
    kind = schema.get("type", [])
    return [str(one) for one in kind] if isinstance(kind, list) else [str(kind)]


def _with_plain_bounds(schema: dict[str, Any]) -> dict[str, Any]:
    """Return *schema* with bounds as OpenAPI 3.1 writes them: in 3.0, a bool says whether a bound is exclusive.

    Bounds that are not finite, like YAML's ``.inf``, bound nothing.
    """
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(schema.get(exclusive), bool):
            excluded = schema.pop(exclusive)
            if excluded and bound in schema:
                schema[exclusive] = schema.pop(bound)
        for key in (bound, exclusive):
            if isinstance(schema.get(key), float) and not math.isfinite(schema[key]):
                del schema[key]
    return schema


def _with_examples_of_properties(part: dict[str, Any]) -> dict[str, Any]:
    """Return *part* of an ``allOf`` with its example, which is not one of the whole, given to its properties."""
    given = next((part[key] for key in ("example", "default") if isinstance(part.get(key), dict)), None)
    if given is None and isinstance(part.get("examples"), list):
        given = next((one for one in part["examples"] if isinstance(one, dict)), None)
    if given is None:
        return part
    known = part.get("properties") or {}
    examples = {key: {"allOf": [known.get(key, True)], "example": value} for key, value in given.items()}
    return {key: value for key, value in part.items() if key not in _GIVEN} | {"properties": {**known, **examples}}


def _both(part: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return a schema whose values fit both; where only one can count, it is that of *own*."""
    found = {**part, **own}
    for key in part.keys() & own.keys():
        left, right = part[key], own[key]
        if key in ("properties", "patternProperties"):
            found[key] = {**left, **right}
            for name in left.keys() & right.keys():
                found[key][name] = {"allOf": [left[name], right[name]]}
        elif key == "required":
            found[key] = list(dict.fromkeys([*left, *right]))
        elif key in ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"):
            found[key] = max(left, right)
        elif key in ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"):
            found[key] = min(left, right)
        elif key == "enum":
            found[key] = [one for one in left if one in right] or right
        elif key == "type":
            found[key] = _common_types(part, own) or right
        elif key in ("items", "additionalProperties", "contains"):
            found[key] = {"allOf": [left, right]}
        elif key in CHOICES:
            # Both choices are to be made: the other word takes the second one, if it is free.
            free = next((word for word in CHOICES if word not in part and word not in own), None)
            found |= {free: left} if free else {}
    return found


def _common_types(part: dict[str, Any], own: dict[str, Any]) -> list[str]:
    left, right = types_of(part), types_of(own)
    common = [one for one in left if one in right]
    integers = "integer" in (*left, *right) and {"integer", "number"} <= {*left, *right} and "integer" not in common
    return [*common, "integer"] if integers else common
