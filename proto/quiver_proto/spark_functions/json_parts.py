"""What is asked of JSON texts: what is at a path, members, keys, how long they are, which schema fits."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.spark_functions.json_text import written
from quiver_proto.spark_functions.path_steps import steps_in
from quiver_proto.text_formats.json_parsing import Laxity, Number, parse

_STEP = re.compile(r"\.(\*|[^.\[\]'*?]+)|\['([^']*)'\]|\[(\d+|\*)\]")
_USUAL = Laxity()


@functools.lru_cache(256)
def _steps(path: str) -> tuple[str | int, ...] | None:
    """Names, positions, and "*"; names begin with a dot. None: no path."""
    found = steps_in(path, _STEP)
    if found is None:
        return None
    steps: list[str | int] = []
    for name, quoted, index in (step.groups() for step in found):
        if index is not None:
            steps.append("*" if index == "*" else int(index))
        else:
            steps.append("*" if name == "*" else "." + (name if name is not None else quoted))
    return tuple(steps)


def _reached(value: Any, steps: tuple[str | int, ...]) -> list[Any]:
    if not steps:
        return [value]
    first, rest = steps[0], steps[1:]
    if first == "*":
        items = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
        return [found for item in items for found in _reached(item, rest)]
    if isinstance(first, int):
        return _reached(value[first], rest) if isinstance(value, list) and first < len(value) else []
    if isinstance(value, dict):
        return _reached(value[first[1:]], rest) if first[1:] in value else []
    if isinstance(value, list):
        return [found for item in value if isinstance(item, dict) for found in _reached(item, steps)]
    return []


def get_json_object(text: str, path: str) -> str | None:
    steps = _steps(path)
    if steps is None:
        return None
    try:
        found = _reached(parse(text, _USUAL), steps)
    except (ValueError, RecursionError):
        return None
    if not found:
        return None
    if "*" in steps and len(found) > 1:
        return written(found)
    (value,) = found[:1]
    if value is None:
        return None
    if "*" in steps:
        return written(value)
    return str(value) if isinstance(value, str) else written(value)


def json_tuple(text: str | None, *names: str | None) -> dict[str, str | None]:
    """The members c0, c1 … of an object as text."""
    try:
        value = None if text is None else parse(text, _USUAL)
    except (ValueError, RecursionError):
        value = None
    members = value if isinstance(value, dict) else {}
    found = (None if name is None else members.get(name) for name in names)
    return {f"c{at}": None if x is None else str(x) if isinstance(x, str) else written(x) for at, x in enumerate(found)}


def json_array_length(text: str) -> int | None:
    try:
        value = parse(text, _USUAL)
    except (ValueError, RecursionError):
        return None
    return len(value) if isinstance(value, list) else None


def json_object_keys(text: str) -> list[str] | None:
    try:
        value = parse(text, _USUAL)
    except (ValueError, RecursionError):
        return None
    return list(value) if isinstance(value, dict) else None


def schema_of_json(text: str, options: str = "{}") -> str:
    try:
        given = {str(name).lower(): str(value).lower() for name, value in json.loads(options).items()}
        return _ddl(_inferred(parse(text, Laxity(unquoted_names=given.get("allowunquotedfieldnames") == "true"))))
    except (ValueError, RecursionError) as error:
        raise SparkValueError("INVALID_JSON_ROOT_FIELD", f"the text is no JSON: {error}") from None


def _inferred(value: Any) -> Any:
    if isinstance(value, Number):
        if re.fullmatch(r"-?\d+", value):
            return "BIGINT" if -(2**63) <= int(value) < 2**63 else f"DECIMAL({len(value.lstrip('-'))},0)"
        return "DOUBLE"
    if isinstance(value, dict):
        return {key: _inferred(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        items = [_inferred(item) for item in value if item is not None]
        return [functools.reduce(_both, items) if items else "STRING"]
    return "BOOLEAN" if isinstance(value, bool) else "STRING"


def _both(a: Any, b: Any) -> Any:
    if a == b:
        return a
    if isinstance(a, dict) and isinstance(b, dict):
        return {key: _both(a[key], b[key]) if key in a and key in b else a.get(key, b.get(key)) for key in sorted({*a, *b})}
    if isinstance(a, list) and isinstance(b, list):
        return [_both(a[0], b[0])]
    return "DOUBLE" if (a, b) in (("BIGINT", "DOUBLE"), ("DOUBLE", "BIGINT")) else "STRING"


def _ddl(kind: Any) -> str:
    if isinstance(kind, dict):
        return f"STRUCT<{', '.join(f'{_name(key)}: {_ddl(item)}' for key, item in kind.items())}>"
    return f"ARRAY<{_ddl(kind[0])}>" if isinstance(kind, list) else str(kind)


def _name(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else f"`{name}`"
