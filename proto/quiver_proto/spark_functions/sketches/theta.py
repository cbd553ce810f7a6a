"""Functions of theta sketches."""

from __future__ import annotations

from typing import Any

from quiver_proto.spark_functions.sketch_bytes import PACKED_THETA, are_keys, is_empty_theta, is_theta
from quiver_proto.spark_functions.sketches.operations import adds, datasketches, datum, nominal_entries, present, read_sound, wrong

_EMPTY_THETA = bytes.fromhex("01030300001E0000")
_NO_KEYS = bytes.fromhex("01030300001ECC93")
"""An empty sketch as the library compares it with others: Spark's has no hash of the seed."""
_SINGLE = 0x20


def theta(name: str, buffer: bytes) -> Any:
    """The sketch that the bytes are. Raises SparkValueError."""
    sound = _NO_KEYS if is_theta(buffer) and is_empty_theta(buffer) else buffer
    sketch = read_sound("THETA", name, is_theta(buffer), lambda: datasketches().compact_theta_sketch.deserialize(sound))
    if buffer[1] == PACKED_THETA:
        keys = list(sketch)  # Those that are 0 are passed over.
        if len(keys) != sketch.num_retained or not are_keys(keys, sketch.theta64, sketch.is_ordered()):
            wrong("THETA", name)
    return sketch


def _theta_bytes(sketch: Any) -> bytes:
    if sketch.is_empty():
        return _EMPTY_THETA
    data = bytearray(sketch.serialize(True))
    if data[0] == 1 and data[1] == 3:
        data[5] |= _SINGLE
    return bytes(data)


@adds("theta_union_agg")
def _theta_union_of(name: str, buffers: list[Any] | None, entries: int = 12) -> bytes:
    union = datasketches().theta_union(nominal_entries(name, entries))
    for buffer in present(buffers):
        union.update(theta(name, buffer))
    return _theta_bytes(union.get_result(True))


@adds("theta_sketch_agg")
def _theta_of(name: str, values: list[Any] | None, entries: int = 12) -> bytes:
    sketch = datasketches().update_theta_sketch(nominal_entries(name, entries))
    for value in present(values):
        sketch.update(datum(value))
    union = datasketches().theta_union(entries)
    union.update(sketch)
    return _theta_bytes(union.get_result(True))


@adds("theta_sketch_estimate")
def _theta_estimate(name: str, buffer: bytes) -> int:
    return round(float(theta(name, buffer).get_estimate()))


@adds("theta_union")
def _theta_union(name: str, left: bytes, right: bytes, entries: int = 12) -> bytes:
    return _theta_union_of(name, [left, right], entries)


@adds("theta_intersection_agg")
def _theta_intersection_of(name: str, buffers: list[Any] | None) -> bytes:
    both = datasketches().theta_intersection()
    for buffer in present(buffers):
        both.update(theta(name, buffer))
    return _theta_bytes(both.get_result(True)) if both.has_result() else _EMPTY_THETA


@adds("theta_intersection")
def _theta_intersection(name: str, left: bytes, right: bytes) -> bytes:
    return _theta_intersection_of(name, [left, right])


@adds("theta_difference")
def _theta_difference(name: str, left: bytes, right: bytes) -> bytes:
    return _theta_bytes(datasketches().theta_a_not_b().compute(theta(name, left), theta(name, right), True))
