"""String views own just their bytes once they leave a task."""

from __future__ import annotations

import pyarrow as pa
import pytest

from quiver_executor.views import compacted, without_views

STRINGS = [f"a text of more than twelve bytes, number {i}" for i in range(10_000)]


def test_a_slice_refers_to_its_own_bytes() -> None:
    whole = pa.record_batch({"s": pa.array(STRINGS, pa.string_view()), "n": pa.array(range(10_000))})
    few = whole.slice(10, 5)
    assert few.get_total_buffer_size() > 400_000
    for made in (without_views(few), compacted(few)):
        assert made["s"].get_total_buffer_size() < 1_000
        assert made["s"].to_pylist() == STRINGS[10:15]
    assert compacted(few).schema.equals(few.schema)
    assert without_views(few).schema.field("s").type == pa.string()


@pytest.mark.parametrize(
    ("kind", "plain", "value"),
    [
        (pa.list_(pa.string_view()), pa.list_(pa.string()), [STRINGS[0], None]),
        (pa.struct({"x": pa.binary_view()}), pa.struct({"x": pa.binary()}), {"x": b"bytes"}),
        (pa.map_(pa.string(), pa.string_view()), pa.map_(pa.string(), pa.string()), [("k", STRINGS[1])]),
    ],
)
def test_nested_views(kind: pa.DataType, plain: pa.DataType, value: object) -> None:
    batch = pa.record_batch([pa.array([value, None], kind)], names=["c"])
    assert without_views(batch).schema.field("c").type == plain
    assert without_views(batch)["c"].to_pylist() == [value, None]
    assert compacted(batch).equals(batch)


def test_batches_without_views_are_left_alone() -> None:
    batch = pa.record_batch({"s": ["x"], "n": [1]})
    assert without_views(batch) is batch
    assert compacted(batch) is batch
