"""A marshmallow schema as JSON Schema (draft 7, the dialect of AsyncAPI 3), with its bounds and its words.

A field or validator that this page does not know is refused by name: a document never says less
than the schema does.
"""

from __future__ import annotations

from typing import Any

from marshmallow import RAISE, Schema, fields, missing, validate

from services.contracts.base import Call, Day, Instant
from services.contracts.inspection import RatingCall
from services.contracts.words import field_words

Shape = dict[str, Any]


def _any_of(*names: str) -> Shape:
    return {"anyOf": [{"required": [name]} for name in names]}


# What a schema's own rules (@validates_schema) say beyond its fields, by the rule's name.
RULES: dict[str, dict[str, Any]] = {
    "exactly_one_form": {
        "oneOf": [
            {"required": ["result"], "not": _any_of("value", "observed", "of")},
            {"required": ["value"], "not": _any_of("result", "observed", "of")},
            {"required": ["observed", "of"], "not": _any_of("result", "value")},
        ]
    },
}
# Lists whose elements are judged one by one, so that the field itself takes any object.
JUDGED: dict[str, type[Schema]] = {"RecordRatings.ratings": RatingCall}


def reachable(schema: type[Schema] | Schema, found: dict[str, Schema]) -> None:
    """Puts the schema and all that it nests into ``found``, by class name."""
    cls = schema if isinstance(schema, type) else type(schema)
    if cls.__name__ in found:
        return
    found[cls.__name__] = cls()
    for key, field in found[cls.__name__].fields.items():
        while isinstance(field, fields.List):
            field = field.inner
        judged = JUDGED.get(f"{cls.__name__}.{key}")
        if judged is not None:
            reachable(judged, found)
        elif isinstance(field, fields.Nested):
            reachable(field.schema, found)


def json_schema(schema: type[Schema] | Schema, definitions: Shape) -> Shape:
    """A ``$ref`` to the schema, which is put into ``definitions`` by its class name, with all it nests."""
    cls = schema if isinstance(schema, type) else type(schema)
    name = cls.__name__
    if name not in definitions:
        definitions[name] = {}  # a nested schema may name its parent
        definitions[name] = _object(cls(), definitions)
    return {"$ref": f"#/components/schemas/{name}"}


def _object(schema: Schema, definitions: Shape) -> Shape:
    name = type(schema).__name__
    shape: dict[str, Any] = {"type": "object"}
    text = (type(schema).__doc__ or "").strip()
    if text and type(schema).__module__.startswith("services."):
        shape["description"] = " ".join(text.split())
    required = sorted(key for key, field in schema.fields.items() if field.required)
    if required:
        shape["required"] = required
    shape["properties"] = {
        key: field_schema(name, key, field, definitions) for key, field in schema.fields.items()
    }
    if isinstance(schema, Call) and schema.unknown == RAISE:
        shape["additionalProperties"] = False
    for hook, _, _ in schema._hooks.get("validates_schema", []):
        shape.update(RULES[hook])
    return shape


def field_schema(owner: str, key: str, field: fields.Field[Any], definitions: Shape) -> Shape:
    """One field's type, bounds, default and words."""
    shape = _bounded(owner, key, field, definitions)
    if field.allow_none:
        shape = _nullable(shape)
    if not (field.load_default is missing or field.load_default is None or callable(field.load_default)):
        shape["default"] = field.load_default
    chinese, english = field_words(owner, key)
    text = f"{chinese} / {english}"
    return {"description": text, "allOf": [shape]} if "$ref" in shape else {"description": text, **shape}


def _bounded(owner: str, key: str, field: fields.Field[Any], definitions: Shape) -> Shape:
    shape = _type(owner, key, field, definitions)
    for validator in field.validators:
        _bound(f"{owner}.{key}", validator, shape)
    return shape


def _type(owner: str, key: str, field: fields.Field[Any], definitions: Shape) -> Shape:
    if isinstance(field, fields.Nested):
        return json_schema(field.schema, definitions)
    if isinstance(field, fields.List):
        judged = JUDGED.get(f"{owner}.{key}")
        if judged is not None:
            return {"type": "array", "items": json_schema(judged, definitions)}
        return {"type": "array", "items": _bounded(owner, key, field.inner, definitions)}
    for kind, shape in (
        (Instant, {"type": "string", "format": "date-time"}),
        (Day, {"type": "string", "format": "date"}),
        (fields.String, {"type": "string"}),
        (fields.Boolean, {"type": "boolean"}),
        (fields.Integer, {"type": "integer"}),
        (fields.Dict, {"type": "object"}),
        (fields.Raw, {}),
    ):
        if isinstance(field, kind):
            return dict(shape)
    raise TypeError(f"{owner}.{key}: {type(field).__name__} has no JSON Schema in shapes.py")


def _bound(place: str, validator: Any, shape: dict[str, Any]) -> None:
    array = shape.get("type") == "array"
    if isinstance(validator, validate.And):
        for inner in validator.validators:
            _bound(place, inner, shape)
    elif isinstance(validator, validate.Length):
        low, high = ("minItems", "maxItems") if array else ("minLength", "maxLength")
        least = validator.equal if validator.equal is not None else validator.min
        most = validator.equal if validator.equal is not None else validator.max
        shape.update({k: v for k, v in ((low, least), (high, most)) if v is not None})
    elif isinstance(validator, validate.Range):
        low = "minimum" if validator.min_inclusive else "exclusiveMinimum"
        high = "maximum" if validator.max_inclusive else "exclusiveMaximum"
        shape.update({k: v for k, v in ((low, validator.min), (high, validator.max)) if v is not None})
    elif isinstance(validator, validate.OneOf):
        shape["enum"] = list(validator.choices)
    elif isinstance(validator, validate.Equal):
        shape["const"] = validator.comparable
    elif isinstance(validator, validate.Regexp):
        # Python knows every script by \w, ECMA 262 only ASCII: said in the way that means the same in both.
        shape["pattern"] = str(validator.regex.pattern).replace(r"\w", r"\p{L}\p{N}_")
    else:
        raise TypeError(f"{place}: validator {type(validator).__name__} has no JSON Schema in shapes.py")


def _nullable(shape: dict[str, Any]) -> Shape:
    if "$ref" in shape:
        return {"anyOf": [shape, {"type": "null"}]}
    if "type" not in shape:
        return shape
    if "enum" in shape:
        shape = {**shape, "enum": [*shape["enum"], None]}
    return {**shape, "type": [shape["type"], "null"]}
