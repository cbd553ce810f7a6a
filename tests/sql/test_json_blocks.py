"""Blocks of JSON lines by Arrow's parser are what the exact one reads, record by record: rows, malformed records, and types."""

from __future__ import annotations

import json
import os
import random
from typing import Any

import pyarrow as pa
import pytest

from quiver_proto.errors import FileUnreadable
from quiver_proto.text_formats import json_batches, json_blocks, json_types
from quiver_proto.text_formats.conversion import Formats
from quiver_proto.text_formats.json_batches import JsonOptions
from quiver_proto.text_formats.json_parsing import Laxity

SEEDS = range(*map(int, os.environ.get("QUIVER_FUZZ_SEEDS", "0:50").split(":")))
SCALARS = [
    pa.string(), pa.bool_(), pa.int64(), pa.int32(), pa.int8(), pa.float64(), pa.float32(), pa.decimal128(12, 3), pa.decimal128(38, 0),
    pa.date32(), pa.timestamp("us", "UTC"), pa.timestamp("us"), pa.binary(), pa.null(),
]  # fmt: skip
USUAL: dict[str, list[str]] = {
    "string": ['"a"', '"x y, é {} }} z"', '"\\u00e9\\n\\""', '""', '"2026-01-01"'],
    "bool": ["true", "false"],
    "int": ["0", "1", "-7", "100", "-0"],
    "float": ["1.5", "-0.25", "1e3", "3", "0.1", "1.17549435E-38", "16777217", "123456789.123456789"],
    "decimal": ["1.5", "1234567890", "12", '"3.125"', "-0.001", "1E2"],
    "date32": ['"2026-02-28"', '"1970-01-01"', '"0001-01-01"'],
    "timestamp": ['"2026-02-28T01:02:03.004Z"', '"2026-02-28 01:02:03"', '"2026-02-28T01:02:03.123456+05:30"', '"2026-02-28T01:02:03"',
    '"2026-02-28"'],
    "binary": ['"YWJj"', '""', '"AA=="'],
    "null": ["null"],
}  # fmt: skip
ODD = [
    "null", "NaN", "-Infinity", "Inf", '"NaN"', "1e999", "1e-999", "007", "1.", ".5", "+1", "-", "99999999999999999999",
    "9223372036854775808", "-9223372036854775808",
    "1e5", "2.0", "300", "1234567890123456789012345678901234567890", "0.12345678901234567890", "12345678901.12345", '"abc"', '"1"',
    '" 1 "', '"1,000"', '"true"', "true", "True", "{}", "[]",
    '{"x":1}', "[1,[2]]", '"2026-1-2"', '"2026-02-30"', '"20260101"', '"2026-01-01T10"', '"2026-01-01 10:11"', '"2026"', '"10000-01-01"',
    '"2026-01-01T00:00:00.1234567Z"',
    '"2026-01-01T00:00:00 Europe/Oslo"', '"2026-01-01T24:00:00"', '"2026-03-29T02:30:00"', '"2026-10-25T02:30:00"', '"\\ud800"',
    '"\\ud83d\\ude00"', '"\\u0000"', '"\\x"', '"a\tb"', "'q'", '"', "1700000000",
    '"YWJ"', '"0x10"', '"\\/\\b"', "nul", "", "1 2", "/* c */ 1", '"\ufeff"', '"2026-01-01T00:00:60"', '"1969-12-31T23:59:59.999999"',
]  # fmt: skip
WHOLE = [
    "5", "null", "[]", '[{"a":1},{"a":2}]', '{"a":1} {"a":2}', '{"a":1}x{"a":2}', '{"a":[{"b":1}', '{"b":2}]}', '{"a":1} null',
    '{"a":1}}', "{", "}", "{}", '{"a":1,}', "{,}", '{"a" 1}', " \t", "",
    '{"a":1}null{"a":2}', '{"a":1}5}', "\ufeff{}", '{"a":1}\x00}', '{"a":\x001}', '{"a":"x}', '"}', '  {"a": 1 }  ', '{"a":1}// x}',
    "{'a':1}", "{a:1}", '{"a":{"a":{"a":[[[[]]]]}}}', '{"a":1}\x85', '{"a":\n1}', '{"\\u0061":1}',
]  # fmt: skip
LAXITIES = [Laxity(), Laxity(True, True, True, True, True, True, True), Laxity(single_quotes=False, not_numbers=False)]


def _kind(draw: random.Random, depth: int = 0) -> pa.DataType:
    shape = draw.random()
    if depth < 2 and shape < 0.12:
        return pa.struct([pa.field(name, _kind(draw, depth + 1)) for name in draw.sample("xyz", draw.randrange(0, 3))])
    if depth < 2 and shape < 0.24:
        return pa.list_(_kind(draw, depth + 1))
    if depth < 2 and shape < 0.27:
        return pa.map_(pa.string(), _kind(draw, depth + 1))
    return draw.choice(SCALARS)


def _value(draw: random.Random, kind: pa.DataType, odd: float) -> str:
    if draw.random() < odd:
        return draw.choice(ODD)
    if draw.random() < 0.1:
        return "null"
    if pa.types.is_struct(kind):
        return _object(draw, [(each.name, each.type) for each in kind], odd)
    if pa.types.is_map(kind):
        return _object(draw, [(name, kind.item_type) for name in ("x", "k 1")], odd)
    if pa.types.is_list(kind):
        return "[" + ",".join(_value(draw, kind.value_type, odd) for _ in range(draw.randrange(4))) + "]"
    name = str(kind).partition("[")[0].partition("(")[0]
    family = "int" if name.startswith("int") else "float" if name in ("float", "double") else "decimal" if name.startswith("dec") else name
    return draw.choice(USUAL[family])


def _object(draw: random.Random, fields: list[tuple[str, pa.DataType]], odd: float) -> str:
    present = [each for each in fields if draw.random() < 0.9]
    draw.shuffle(present)
    space = draw.choice(["", "", " "])
    members = [f"{json.dumps(name)}:{space}{_value(draw, kind, odd)}" for name, kind in present]
    if draw.random() < odd * 3:
        members.append(draw.choice(['"other":[1,{"a":2}]', '"a":1', '"A":2', '"":null', '"other":"}{"', '"other":007', '"other":Inf']))
    return "{" + f",{space}".join(members) + "}"


def _lines(draw: random.Random, fields: list[tuple[str, pa.DataType]]) -> list[str]:
    odd = draw.choice([0.0, 0.0, 0.001, 0.01, 0.1])
    lines = []
    for _ in range(draw.randrange(20, 400)):
        line = draw.choice(WHOLE) if draw.random() < odd else _object(draw, fields, odd)
        if draw.random() < odd / 4:
            at = draw.randrange(len(line) + 1)
            line = line[:at] + draw.choice(['"', "{", "}", ",", " ", "\\", "\x01", ""]) + line[at + 1 :]
        lines.append(line)
    return lines


def _read(lines: list[str], schema: pa.Schema, options: JsonOptions, wanted: frozenset[str]) -> Any:
    names = sorted(wanted)
    try:
        found = [row for batch in json_batches.batches(lines, schema, options, wanted) for row in batch.to_pylist()]
        return [tuple(str(row[name]) for name in names) for row in found]
    except FileUnreadable as problem:
        return str(problem)


def _exactly(monkeypatch: pytest.MonkeyPatch, compute: Any) -> tuple[Any, Any]:
    """What is read with Arrow's parser, and without."""
    quick = compute()
    with monkeypatch.context() as patch:
        patch.setattr(json_blocks, "sifted", lambda lines, attempt: iter([(range(len(lines)), None)]))
        return quick, compute()


def test_blocks_are_read_as_records_are(monkeypatch: pytest.MonkeyPatch) -> None:
    served = total = 0
    sifted = json_blocks.sifted

    def counted(lines: Any, attempt: Any) -> Any:
        nonlocal served, total
        for places, found in sifted(lines, attempt):
            total += len(places)
            served += 0 if found is None else len(places)
            yield places, found

    monkeypatch.setattr(json_blocks, "sifted", counted)
    for seed in SEEDS:
        draw = random.Random(seed)
        fields = [(name, _kind(draw)) for name in draw.sample("abcde", draw.randrange(1, 5))]
        lines = _lines(draw, fields)
        schema = pa.schema([*fields, ("_corrupt_record", pa.string())])
        names = [name for name, _ in fields if draw.random() < 0.8] + ["_corrupt_record"] * draw.randrange(2)
        options = JsonOptions(
            draw.choice(["PERMISSIVE", "PERMISSIVE", "DROPMALFORMED", "FAILFAST"]),
            laxity=draw.choice(LAXITIES),
            formats=Formats(draw.choice(["UTC", "Europe/Oslo"]), None, draw.choice([None, "yyyy-MM-dd HH:mm:ss"]), None),
        )
        read, exact = _exactly(monkeypatch, lambda: _read(lines, schema, options, frozenset(names)))  # noqa: B023
        assert read == exact, (seed, [each for each in zip(read, exact) if each[0] != each[1]][:3] if isinstance(read, list) else "")
    assert served > total / 4, "nothing was left to Arrow"


def test_types_of_blocks_are_those_of_records(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in SEEDS:
        draw = random.Random(seed)
        lines = _lines(draw, [(name, _kind(draw)) for name in draw.sample("abcde", draw.randrange(1, 5))])
        options = JsonOptions(
            primitives_as_strings=draw.random() < 0.1,
            prefers_decimal=draw.random() < 0.1,
            infer_timestamps=draw.random() < 0.1,
            laxity=draw.choice(LAXITIES),
        )
        keep = draw.choice([1.0, 1.0, 0.5])
        read, exact = _exactly(monkeypatch, lambda: json_types.types_of(lines, options, keep))  # noqa: B023
        assert read == exact, seed


@pytest.mark.parametrize("line", ["null", '{"a":1} {"a":2}', '{"a":[{"b":1}', "[1]", '{"a":1}\x00'])
def test_lines_that_are_no_object_are_not_left_to_arrow(line: str) -> None:
    good = '{"a":1}'

    def attempt(data: bytes, rows: int) -> int:
        if data.decode() != "\n".join([good] * rows):
            raise json_blocks.Unfit
        return rows

    parts = list(json_blocks.sifted([good] * 1000 + [line] + [good] * 999, attempt))
    assert sorted(place for places, _ in parts for place in places) == list(range(2000))
    assert sum(found or 0 for _, found in parts) >= 1900
    assert all(found is None for places, found in parts if 1000 in places)
