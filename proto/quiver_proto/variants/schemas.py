"""What a variant holds, as `schema_of_variant` tells it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from quiver_proto.variants.decoding import Part
from quiver_proto.variants.encoding import key_order

Schema = Any
"""A name ("BIGINT"), ("decimal", precision, scale), ("array", Schema) or ("object", {name: Schema})."""
_NAMES = {"void": "VOID", "long": "BIGINT", "timestamp": "TIMESTAMP", "timestamp_ntz": "TIMESTAMP_NTZ"}


def schema_of(part: Part) -> Schema:
    """The schema of a variant. Raises SparkValueError for bytes that are none."""
    match part.kind:
        case "object":
            return "object", {name: schema_of(member) for name, member in part.members()}
        case "array":
            found: Schema = "VOID"
            for item in part.items():
                found = merged(found, schema_of(item))
            return "array", found
        case "decimal":
            _, digits, exponent = part.scalar().as_tuple()
            count, scale = len(digits), -int(exponent)
            while scale > 0 and count and digits[count - 1] == 0:
                count, scale = count - 1, scale - 1
            return "decimal", max(count, scale, 1), scale
        case kind:
            return _NAMES.get(kind, kind.upper())


def merged(one: Schema, other: Schema) -> Schema:
    """What both are: numbers become wider ones, what has nothing in common is VARIANT."""
    if one == other or other == "VOID":
        return one
    if one == "VOID":
        return other
    if isinstance(one, tuple) and isinstance(other, tuple) and one[0] == other[0]:
        match one[0]:
            case "array":
                return "array", merged(one[1], other[1])
            case "object":
                names = sorted({**one[1], **other[1]}, key=key_order)
                return "object", {name: merged(one[1].get(name, "VOID"), other[1].get(name, "VOID")) for name in names}
    numbers = [_digits(kind) for kind in (one, other)]
    if all(numbers):
        (precision, scale), (more, behind) = (number or (0, 0) for number in numbers)
        most = max(scale, behind)
        whole = max(precision - scale, more - behind)
        return ("decimal", whole + most, most) if whole + most <= 38 else "DOUBLE"
    if all(number or kind in ("DOUBLE", "FLOAT") for number, kind in zip(numbers, (one, other), strict=True)):
        return "DOUBLE"
    return "VARIANT"


def _digits(kind: Schema) -> tuple[int, int] | None:
    if kind == "BIGINT":
        return 20, 0
    return kind[1:] if isinstance(kind, tuple) and kind[0] == "decimal" else None


def written(schema: Schema) -> str:
    """OBJECT<a: BIGINT, b: ARRAY<VARIANT>>."""
    if isinstance(schema, str):
        return schema
    match schema[0]:
        case "decimal":
            return f"DECIMAL({schema[1]},{schema[2]})"
        case "array":
            return f"ARRAY<{written(schema[1])}>"
        case _:
            return f"OBJECT<{', '.join(f'{_name(name)}: {written(kind)}' for name, kind in schema[1].items())}>"


def _name(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_]+", name) else "`" + name.replace("`", "``") + "`"


def schema_of_all(parts: Sequence[Part | None]) -> str:
    """Of several variants; VOID for none."""
    found: Schema = "VOID"
    for part in parts:
        if part is not None:
            found = merged(found, schema_of(part))
    return written(found)
