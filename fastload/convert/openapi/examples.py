"""Example values for a schema: its examples, its defaults, or else a made-up value of the right type."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from fastload.convert.openapi.description import ApiDescription, Steps
from fastload.convert.openapi.example_texts import number_for, text_for
from fastload.convert.openapi.patterns import matching_text
from fastload.convert.openapi.schemas import CHOICES, NOTHING, Schemas, types_of, with_choice

_MOST_VALUES = 10_000
"""Of one body or parameter. Schemas that each refer twice to the next have twice as many values with each of them."""
_DEEPEST = 30
NO_VALUE = object()
"""In place of a value that there is not: no value fits the schema, or each would have one of its own within it."""
_NOT_REGARDED = (
    *("not", "if", "dependentSchemas", "dependentRequired", "propertyNames", "maxContains"),
    *("unevaluatedItems", "$dynamicRef"),
)
_IMPLIED_TYPES = (
    ("properties", "object"),
    ("additionalProperties", "object"),
    ("patternProperties", "object"),
    ("required", "object"),
    ("items", "array"),
    ("prefixItems", "array"),
    ("uniqueItems", "array"),
    ("minimum", "number"),
    ("maximum", "number"),
    ("exclusiveMinimum", "number"),
    ("exclusiveMaximum", "number"),
    ("multipleOf", "number"),
)


class Examples:
    """Makes example values. ``doubtful`` has the made-up values that may not fit, with what was not regarded."""

    def __init__(self, api: ApiDescription, schemas: Schemas) -> None:
        self._api = api
        self._schemas = schemas
        self.doubtful: list[str] = []
        self._values = 0
        # In an array of different items, which of them is made: 0 for the first, and everywhere else.
        self._variant = 0

    def of_holder(self, holder: Mapping[str, Any], steps: Steps) -> Any:
        """Return a value for a parameter or media type: its (first) example, or else a value for its schema.

        `NO_VALUE` if there is none.
        """
        schema = holder.get("schema", True)
        whole = self._schemas.whole(schema, (*steps, "schema"))
        for value in self._examples_of_holder(holder, steps):
            if (fitting := _fitting(value, whole)) is not NO_VALUE:
                return fitting
        self._values = 0
        return self.of_schema(schema, (*steps, "schema"))

    def has_own(self, holder: Mapping[str, Any], steps: Steps) -> bool:
        """Return whether *holder* or its schema has an example."""
        if "example" in holder or holder.get("examples"):
            return True
        schema = self._schemas.whole(holder.get("schema", True), (*steps, "schema"))
        return any(key in schema for key in ("example", "examples"))

    def of_schema(self, node: Any, steps: Steps, above: tuple[int, ...] = ()) -> Any:
        """Return a value for the schema *node*. *above* has the ids of the enclosing schemas, to stop at recursion."""
        self._values += 1
        if self._values > _MOST_VALUES:
            self._api.refuse(steps, f"its example has over {_MOST_VALUES:,} values", "give a schema an 'example'")
        schema = self._schemas.whole(node, steps)
        if schema is NOTHING:
            return NO_VALUE
        given = self._given(schema)
        if given is not NO_VALUE:
            return given
        value = self._made(schema, node, steps, above)
        return None if value is NO_VALUE and _may_be_null(schema) else value

    def _made(self, schema: dict[str, Any], node: Any, steps: Steps, above: tuple[int, ...]) -> Any:
        """Return a made-up value for *schema*, the whole of *node*. No schema is within itself: it is small."""
        if id(schema) in above or len(above) > _DEEPEST:
            return NO_VALUE
        above = (*above, id(schema))
        for choice in CHOICES:
            if schema.get(choice):
                return self._chosen(schema, choice, steps, above)
        self._note_what_is_not_regarded(schema, steps)
        value = self._by_type(schema, steps, above)
        return _with_discriminator(value, schema, node)

    def _examples_of_holder(self, holder: Mapping[str, Any], steps: Steps) -> Iterator[Any]:
        if "example" in holder:
            yield holder["example"]
        given = holder.get("examples")
        for key, one in given.items() if isinstance(given, dict) else ():
            one = self._api.resolve(one, (*steps, "examples", key))
            if isinstance(one, dict) and "value" in one:
                yield one["value"]

    def _given(self, schema: dict[str, Any]) -> Any:
        """Return the constant, example, default or enum value of *schema*, or `NO_VALUE`."""
        if "const" in schema:
            return schema["const"]
        values = schema.get("enum") or ()
        if self._variant and values:
            return values[self._variant % len(values)]
        if not self._variant:
            for value in _examples_and_default(schema):
                if (fitting := _fitting(value, schema)) is not NO_VALUE and (not values or fitting in values):
                    return fitting
        return values[0] if values else NO_VALUE

    def _chosen(self, schema: dict[str, Any], choice: str, steps: Steps, above: tuple[int, ...]) -> Any:
        """Return a value for the first schema of a choice that has one; null only if there is no other."""
        options = list(enumerate(schema[choice]))
        options.sort(key=lambda pair: isinstance(pair[1], dict) and pair[1].get("type") == "null")
        for number, one in options:
            value = self.of_schema(with_choice(schema, choice, one), (*steps, choice, number), above)
            if value is not NO_VALUE:
                whole = {**self._schemas.whole(one, (*steps, choice, number))}
                whole["discriminator"] = schema.get("discriminator")
                return _with_discriminator(value, whole, one)
        return NO_VALUE

    def _note_what_is_not_regarded(self, schema: dict[str, Any], steps: Steps) -> None:
        for key in _NOT_REGARDED:
            if key in schema:
                self._note(steps, key)

    def _note(self, steps: Steps, what: str) -> None:
        words = (step for step in reversed(steps) if isinstance(step, str))
        name = next((word for word in words if word not in ("schema", "items", "allOf", *CHOICES)), "")
        self.doubtful.append(f"{name} ({what})")

    def _by_type(self, schema: dict[str, Any], steps: Steps, above: tuple[int, ...]) -> Any:
        match _type_of(schema):
            case "object":
                return self._object(schema, steps, above)
            case "array":
                return self._array(schema, steps, above)
            case "integer" | "number" as kind:
                return number_for(schema, kind, self._variant)
            case "boolean":
                return self._variant % 2 == 0
            case "null":
                return None
        text = text_for(schema, self._variant)
        if text is None:
            self._note(steps, "pattern")
            text = text_for({key: value for key, value in schema.items() if key != "pattern"}, self._variant)
        return text

    def _object(self, schema: dict[str, Any], steps: Steps, above: tuple[int, ...]) -> Any:
        values: dict[str, Any] = {}
        required = schema.get("required") or ()
        known = schema.get("properties") or {}
        for key, below in known.items():
            place = (*steps, "properties", key)
            if self._schemas.whole(below, place).get("readOnly"):
                continue
            value = self.of_schema(below, place, above)
            if value is not NO_VALUE:
                values[key] = value
            elif key in required:
                return NO_VALUE
        return self._with_further_names(values, schema, steps, above)

    def _with_further_names(
        self, values: dict[str, Any], schema: dict[str, Any], steps: Steps, above: tuple[int, ...]
    ) -> Any:
        """Return *values* with the names that are required, or needed for their number, and have no property."""
        known, required = schema.get("properties") or {}, schema.get("required") or ()
        more, place = schema.get("additionalProperties", True), (*steps, "additionalProperties")
        pattern = "key"
        for word, below in (schema.get("patternProperties") or {}).items():
            if more is False:
                pattern, more, place = word, below, (*steps, "patternProperties", word)
        names = [name for name in required if name not in values and name not in known]
        least = max(int(schema.get("minProperties", 0)), 1 if isinstance(more, dict) and not values else 0)
        names += _new_names(pattern, least - len(values) - len(names), {*values, *known, *names})
        for name in names:
            value = self.of_schema(more, place, above)
            if value is not NO_VALUE:
                values[name] = value
            elif name in required or len(values) < int(schema.get("minProperties", 0)):
                return NO_VALUE
        for name in list(values)[::-1]:
            if len(values) > int(schema.get("maxProperties", len(values))) and name not in required:
                del values[name]
        return values

    def _array(self, schema: dict[str, Any], steps: Steps, above: tuple[int, ...]) -> Any:
        least, most = int(schema.get("minItems", 0)), int(schema.get("maxItems", _MOST_VALUES))
        found: list[Any] = []
        for number, one in enumerate(schema.get("prefixItems") or ()):
            value = self.of_schema(one, (*steps, "prefixItems", number), above)
            if value is NO_VALUE:
                # What comes behind it would be in its place.
                return found if len(found) >= least else NO_VALUE
            found.append(value)
        items, place = schema.get("items", True), (*steps, "items")
        if "contains" in schema:
            contained = {"allOf": [items, schema["contains"]]}
            found += self._items(contained, place, above, int(schema.get("minContains", 1)), schema)
        size = least if found else max(1, least)
        found += self._items(items, place, above, min(size, most) - len(found), schema)
        found = [value for value in found if value is not NO_VALUE][:most]
        return found if len(found) >= least else NO_VALUE

    def _items(self, items: Any, steps: Steps, above: tuple[int, ...], count: int, schema: dict[str, Any]) -> list[Any]:
        """Return *count* values for *items*, fewer if it has none; all different if *schema* says so."""
        if not schema.get("uniqueItems") or count < 2:
            return [self.of_schema(items, steps, above) for _ in range(count)]
        outer = self._variant
        # By their source: in Python True is 1, in JSON it is not.
        found: dict[str, Any] = {}
        for variant in range(2 * count):
            self._variant = outer + variant
            value = self.of_schema(items, steps, above)
            found.setdefault(repr(value), value)
            if len(found) == count:
                break
        else:
            self._note(steps, "uniqueItems")
        self._variant = outer
        return list(found.values())


def _examples_and_default(schema: dict[str, Any]) -> Iterator[Any]:
    if "example" in schema:
        yield schema["example"]
    if isinstance(schema.get("examples"), list):
        yield from schema["examples"]
    if "default" in schema:
        yield schema["default"]


def _new_names(pattern: str, count: int, taken: set[str]) -> list[str]:
    """Return *count* names that match *pattern* and are not in *taken*: fewer if there are none."""
    found: dict[str, None] = {}
    for variant in range(min(2 * count, _MOST_VALUES + 1)):
        name = f"key{variant or ''}" if pattern == "key" else matching_text(pattern, variant=variant)
        if name is not None and name not in taken and len(found) < count:
            found[name] = None
    return list(found)


def _with_discriminator(value: Any, schema: dict[str, Any], node: Any) -> Any:
    """Return *value* with the name of its schema, *node*, in the property that tells schemas apart."""
    told = schema.get("discriminator")
    reference = node.get("$ref") if isinstance(node, dict) else None
    if not isinstance(value, dict) or not isinstance(told, dict) or not isinstance(reference, str):
        return value
    name = reference.rpartition("/")[2]
    for word, target in (told.get("mapping") or {}).items():
        if target in (reference, name):
            name = word
            break
    key = told["propertyName"]
    own = (schema.get("properties") or {}).get(key)
    fixed = isinstance(own, dict) and ("const" in own or (own.get("enum") and name not in own["enum"]))
    return value if fixed else {**value, key: name}


def _fitting(value: Any, schema: dict[str, Any]) -> Any:
    """Return *value* as the type that *schema* asks for; `NO_VALUE` if it is none of JSON, or null where none may be.

    In YAML, ``example: 007`` of a text is a number, and ``example:`` with nothing behind it is null.
    """
    types = types_of(schema)
    if value is None:
        return None if not types or _may_be_null(schema) else NO_VALUE
    if not _is_finite(value):
        return NO_VALUE
    if types == ["string"] and isinstance(value, int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value


def _may_be_null(schema: dict[str, Any]) -> bool:
    return "null" in types_of(schema) or bool(schema.get("nullable"))


def _is_finite(value: Any) -> bool:
    """Return whether JSON can have *value*: it has no infinite numbers."""
    if isinstance(value, dict | list):
        return all(map(_is_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


def _type_of(schema: dict[str, Any]) -> str:
    types = types_of(schema)
    if types:
        return next((one for one in types if one != "null"), "null")
    return next((of for key, of in _IMPLIED_TYPES if key in schema), "string")
