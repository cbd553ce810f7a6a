"""Functions of variants as the kernel calls them: variants are structs of `value` and `metadata`, and no None but where that is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.spark_functions.prepared import Prepared, prepared
from quiver_proto.variants import decoding, json_form, paths, schemas
from quiver_proto.variants.casting import Unfit, tree_maker, value_of
from quiver_proto.variants.encoding import struct_of

Bytes = dict[str, bytes]
Call = Callable[..., Any]


def _part(variant: Bytes) -> decoding.Part:
    return decoding.part_of(variant["value"], variant["metadata"])


def parse_json(text: str) -> Bytes:
    return struct_of(json_form.tree_of_json(text))


def try_parse_json(text: str) -> Bytes | None:
    try:
        return parse_json(text)
    except SparkValueError:
        return None


def is_variant_null(variant: Bytes | None) -> bool:
    return variant is not None and _part(variant).kind == "void"


def is_valid_variant(variant: Bytes) -> bool:
    try:
        decoding.names_of(variant["metadata"])
        decoding.tree_of(_part(variant))
    except (SparkValueError, RecursionError):
        return False
    return True


def schema_of_variant(variant: Bytes) -> str:
    return schemas.written(schemas.schema_of(_part(variant)))


def schema_of_variant_agg(variants: list[Bytes | None] | None) -> str:
    return schemas.schema_of_all([None if variant is None else _part(variant) for variant in variants or ()])


def variant_explode(variant: Bytes) -> list[dict[str, Any]]:
    """Rows of `pos`, `key` and `value`: of an object its members, of an array its items, of others none."""
    part = _part(variant)
    found: list[tuple[str | None, decoding.Part]] = []
    if part.kind == "object":
        found += part.members()
    elif part.kind == "array":
        found += ((None, item) for item in part.items())
    metadata = variant["metadata"]
    return [
        {"pos": place, "key": key, "value": {"value": member.whole(), "metadata": metadata}} for place, (key, member) in enumerate(found)
    ]


def cast_to(kind: str, zone: str, lenient: bool) -> Prepared:
    """A variant, or what is at a path in it, as a value of a type. `kind`: a type in JSON."""
    return prepared("variant_get", _getter, kind, zone, lenient)


def _getter(kind: str, zone: str, lenient: bool) -> Call:
    wanted = json.loads(kind)

    def get(variant: Bytes, path: str = "$") -> Any:
        found = paths.reached(_part(variant), paths.steps_of(path))
        try:
            return None if found is None else value_of(found, wanted, zone, lenient)
        except Unfit as problem:
            raise problem.error(zone) from None

    return get


def recast(source: str, target: str, zone: str, lenient: bool) -> Prepared:
    """Values of one type as those of another, where one of them is, or has, variants. `source`, `target`: types in JSON."""
    return prepared("variant_cast", _recaster, source, target, zone, lenient)


def _recaster(source: str, target: str, zone: str, lenient: bool) -> Call:
    cast = _caster(json.loads(source), json.loads(target), zone, lenient)

    def made(value: Any) -> Any:
        try:
            return cast(value)
        except Unfit as problem:
            raise problem.error(zone) from None

    return made


def _caster(source: Any, target: Any, zone: str, lenient: bool) -> Call:
    """Of values that may be null."""
    if source == target:
        return lambda value: value
    if source == "variant":
        return lambda variant: None if variant is None else value_of(_part(variant), target, zone, lenient)
    if target == "variant":
        tree = tree_maker(source)
        return lambda value: None if value is None else struct_of(tree(value))
    if isinstance(source, dict) and isinstance(target, dict) and source["type"] == target["type"]:
        match source["type"]:
            case "array":
                item = _caster(source["elementType"], target["elementType"], zone, lenient)
                return lambda items: None if items is None else [item(each) for each in items]
            case "map" if source["keyType"] == target["keyType"]:
                member = _caster(source["valueType"], target["valueType"], zone, lenient)
                return lambda pairs: None if pairs is None else [(key, member(each)) for key, each in pairs]
            case "struct":
                members = [
                    (a["name"], b["name"], _caster(a["type"], b["type"], zone, lenient))
                    for a, b in zip(source["fields"], target["fields"], strict=True)
                ]
                return lambda value: None if value is None else {to: cast(value[of]) for of, to, cast in members}
    raise SparkValueError(
        "UNSUPPORTED_FEATURE.VARIANT", "A cast of values beside variants to another type: cast them, and the variants, on their own."
    )


def made_of(kind: str) -> Prepared:
    """Variants of values of a type. `kind`: a type in JSON."""
    return prepared("to_variant", _variant_maker, kind)


def _variant_maker(kind: str) -> Call:
    tree = tree_maker(json.loads(kind))
    return lambda value: struct_of(tree(value))


def written_in(zone: str) -> Prepared:
    """Variants as texts in JSON, instants by the clocks of a zone."""
    return prepared("variant_json", _json_writer, zone)


def _json_writer(zone: str) -> Call:
    return lambda variant: json_form.as_json(_part(variant), zone)


# ---- changes ----


def _changed(variant: Bytes, change: Callable[[Any], Any]) -> Bytes:
    try:
        return struct_of(change(decoding.tree_of(_part(variant))))
    except RecursionError:
        raise decoding.malformed() from None


def variant_delete(variant: Bytes, *where: str) -> Bytes:
    def change(tree: Any) -> Any:
        for path in where:
            tree = paths.Changing("variant_delete", path).deleted(tree)
        return tree

    return _changed(variant, change)


def variant_insert(variant: Bytes, path: str, value: Bytes) -> Bytes:
    return _changed(variant, lambda tree: paths.Changing("variant_insert", path).inserted(tree, decoding.tree_of(_part(value))))


def variant_set(variant: Bytes, path: str, value: Bytes, creates: bool) -> Bytes:
    return _changed(variant, lambda tree: paths.Changing("variant_set", path).replaced(tree, decoding.tree_of(_part(value)), creates))


def variant_array_append(variant: Bytes, path: str, value: Bytes) -> Bytes:
    changing = paths.Changing("variant_array_append", path, rootless=False)
    return _changed(variant, lambda tree: changing.appended(tree, decoding.tree_of(_part(value))))


def variant_strip_nulls(variant: Bytes, in_arrays: bool) -> Bytes:
    return _changed(variant, lambda tree: paths.without_nulls(tree, in_arrays))


def _or_none(call: Call, *args: Any) -> Bytes | None:
    try:
        made: Bytes = call(*args)
    except SparkValueError as problem:
        if str(problem).startswith(("[VARIANT_DUPLICATE_KEY]", "[VARIANT_PATH_TYPE_MISMATCH]", "[VARIANT_SIZE_LIMIT]")):
            return None
        raise
    return made


def try_variant_insert(variant: Bytes, path: str, value: Bytes) -> Bytes | None:
    return _or_none(variant_insert, variant, path, value)


def try_variant_set(variant: Bytes, path: str, value: Bytes, creates: bool) -> Bytes | None:
    return _or_none(variant_set, variant, path, value, creates)


def try_variant_array_append(variant: Bytes, path: str, value: Bytes) -> Bytes | None:
    return _or_none(variant_array_append, variant, path, value)
