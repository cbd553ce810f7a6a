"""Variants as bytes: what is written is read, and bytes that are none are one error."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from quiver.sql.types import VariantVal
from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.variants import calls, schemas
from quiver_proto.variants.decoding import part_of, python_of, tree_of
from quiver_proto.variants.encoding import encoded
from quiver_proto.variants.json_form import as_json, tree_of_json

UTC = datetime.UTC
SCALARS = (
    some.none()
    | some.booleans()
    | some.integers(-(2**63), 2**63 - 1)
    | some.floats(allow_nan=False)
    | some.text(some.characters(codec="utf-8"), max_size=80)
    | some.binary(max_size=70)
    | some.dates()
    | some.datetimes()
    | some.datetimes(timezones=some.just(UTC))
    | some.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9)
)
NAMES = some.text(some.characters(codec="utf-8"), max_size=5)
TREES = some.recursive(SCALARS, lambda inner: some.lists(inner, max_size=5) | some.dictionaries(NAMES, inner, max_size=5), max_leaves=12)


@settings(max_examples=40, deadline=None)
@given(TREES)
def test_what_is_written_is_read(tree: Any) -> None:
    value, metadata = encoded(tree)
    part = part_of(value, metadata)
    assert python_of(part) == tree
    assert part.whole() == value
    assert calls.is_valid_variant({"value": value, "metadata": metadata})
    assert python_of(part_of(*encoded(tree_of(part_of(value, metadata))))) == tree
    schemas.written(schemas.schema_of(part_of(value, metadata)))
    json.loads(as_json(part_of(value, metadata)))


@settings(max_examples=60, deadline=None)
@given(TREES, some.data())
def test_other_bytes_are_one_error(tree: Any, data: some.DataObject) -> None:
    parts = [bytearray(part) for part in encoded(tree)]
    for _ in range(data.draw(some.integers(1, 4))):
        part = data.draw(some.sampled_from(parts))
        at = data.draw(some.integers(0, len(part) - 1))
        if data.draw(some.booleans()):
            part[at] = data.draw(some.integers(0, 255))
        elif len(part) > 1:
            del part[at]
    value, metadata = map(bytes, parts)
    for work in (python_of, tree_of, as_json, schemas.schema_of):
        try:
            work(part_of(value, metadata))
        except SparkValueError:
            pass
    assert calls.is_valid_variant({"value": value, "metadata": metadata}) in (True, False)


def test_parts_that_lie_in_each_other_end() -> None:
    """Each array has two items, both of which are the next array: without a bound 2 ** 60 parts."""
    value = b"".join(b"\x03\x02\x00\x00\x00" for _ in range(60)) + b"\x00"
    with pytest.raises(SparkValueError, match="MALFORMED_VARIANT"):
        python_of(part_of(value, b"\x01\x00\x00"))


def test_many_and_long_members() -> None:
    tree = {f"name{number:04}": [number, "x" * 100] for number in range(700)} | {"long": "y" * 70_000}
    value, metadata = encoded(tree)
    assert python_of(part_of(value, metadata)) == tree
    found = part_of(value, metadata).member("name0699")
    assert found is not None
    assert python_of(found) == [699, "x" * 100]
    with pytest.raises(SparkValueError, match="VARIANT_SIZE_LIMIT"):
        encoded("z" * (16 * 2**20))


def test_values_in_python() -> None:
    value = VariantVal.parseJson('{"a": [1, 2.50, "x", null, 1e2], "b": {"c": true}}')
    assert value.toPython() == {"a": [1, Decimal("2.50"), "x", None, 100.0], "b": {"c": True}}
    assert (str(value), eval(repr(value), {"VariantVal": VariantVal})) == ('{"a":[1,2.5,"x",null,100.0],"b":{"c":true}}', value)
    instant = VariantVal(*encoded(datetime.datetime(2024, 7, 1, 12, tzinfo=UTC)))
    assert instant.toJson("America/New_York") == '"2024-07-01 08:00:00-04:00"'
    assert encoded(tree_of_json("12 and more")) == encoded(tree_of_json("12"))
    with pytest.raises(SparkValueError, match="MALFORMED_RECORD"):
        encoded(tree_of_json("12and more"))
    with pytest.raises(SparkValueError) as refused:
        encoded(tree_of_json("[" + "1," * 100_000))
    assert len(str(refused.value)) < 500
