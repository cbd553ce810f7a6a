"""Functions of HyperLogLog sketches."""

from __future__ import annotations

from typing import Any

from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.spark_functions.sketch_bytes import is_hll
from quiver_proto.spark_functions.sketches.operations import adds, datasketches, datum, present, read_sound, wrong


def _hll(name: str, buffer: bytes) -> Any:
    return read_sound("HLL", name, is_hll(buffer), lambda: datasketches().hll_sketch.deserialize(buffer))


@adds("hll_sketch_agg")
def _hll_of(name: str, values: list[Any] | None, precision: int = 12) -> bytes:
    if not 4 <= precision <= 21:
        raise SparkValueError(
            "HLL_INVALID_LG_K", f"Invalid call to `{name}`; the `lgConfigK` value must be between 4 and 21, inclusive: {precision}."
        )
    sketch = datasketches().hll_sketch(precision, datasketches().HLL_8)
    for value in present(values):
        sketch.update(datum(value))
    return bytes(sketch.serialize_updatable())


@adds("hll_sketch_estimate")
def _hll_estimate(name: str, buffer: bytes) -> int:
    estimate = float(_hll(name, buffer).get_estimate())
    if not 0 <= estimate < 2**63:
        wrong("HLL", name)
    return round(estimate)


@adds("hll_union_agg")
def _hll_union_of(name: str, buffers: list[Any] | None, different: bool = False) -> bytes:
    sketches = [_hll(name, buffer) for buffer in present(buffers)]
    precisions = list(dict.fromkeys(sketch.lg_config_k for sketch in sketches))
    if len(precisions) > 1 and not different:
        raise SparkValueError(
            "HLL_UNION_DIFFERENT_LG_K",
            f"Sketches have different `lgConfigK` values: {precisions[0]} and {precisions[1]}. Set the `allowDifferentLgConfigK` parameter "
            f"to true to call `{name}` with different `lgConfigK` values.",
        )
    union = datasketches().hll_union(min(precisions, default=12))
    for sketch in sketches:
        union.update(sketch)
    return bytes(union.get_result(datasketches().HLL_8).serialize_updatable())


@adds("hll_union")
def _hll_union(name: str, left: bytes, right: bytes, different: bool = False) -> bytes:
    return _hll_union_of(name, [left, right], different)
