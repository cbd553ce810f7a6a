"""Bytes that are nearly sketches: answered or refused, typed, and never the end of the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("datasketches")

_MUTATED = """
import random
from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.spark_functions.sketches import OPERATIONS
import datasketches

rng = random.Random(7)
counts = 0, 3, 30, 400, 5000
def hll(kind, n, lg=10):
    sketch = datasketches.hll_sketch(lg, kind)
    for number in range(n):
        sketch.update(number)
    return [bytes(sketch.serialize_compact()), bytes(sketch.serialize_updatable())]
kinds = datasketches.tgt_hll_type
made = {"hll": [data for kind in (kinds.HLL_4, kinds.HLL_6, kinds.HLL_8) for n in counts for data in hll(kind, n)]}
made["theta"] = [OPERATIONS["theta_sketch_agg"](range(n), 8) for n in counts]
made["theta"].append(OPERATIONS["theta_intersection"](made["theta"][0], made["theta"][4]))
for kind, number in ("bigint", int), ("double", float), ("float", float):
    values = [number(rng.randrange(10**6)) for _ in range(5000)]
    made[kind] = [OPERATIONS["kll_sketch_agg_" + kind](values[:n], k) for n in counts for k in (8, 200)]
for kind, value in ("integer", 3), ("double", 1.5):
    made[kind + "s"] = [OPERATIONS["tuple_sketch_agg_" + kind]([{"k": k, "v": value} for k in range(n)], 6) for n in counts]

def calls(family, whole, data):
    if family == "hll":
        return [("hll_sketch_estimate", data), ("hll_union", whole, data, True)]
    if family == "theta":
        return [("theta_" + name, whole, data) for name in ("union", "intersection", "difference")]
    if family in ("integers", "doubles"):
        return [(f"tuple_{name}_{family[:-1]}", whole, data) for name in ("union", "intersection", "difference")]
    of = [("kll_sketch_to_string_" + family, data), ("kll_merge_agg_" + family, [whole, data])]
    return [*of, (f"kll_sketch_get_quantile_{family}", data, [0, 0.5])]

for family, sketches in made.items():
    for sketch in sketches:
        for name, *given in calls(family, sketches[-1], sketch):
            try:
                OPERATIONS[name](*given)
            except SparkValueError as error:
                assert "quantile" in name and len(sketch) == 8, (name, sketch.hex()[:80], error)
refused = 0
for family, sketches in made.items():
    for _ in range(200):
        data = bytearray(rng.choice(sketches))
        for _ in range(rng.choice((1, 1, 2))):
            data[rng.randrange(min(len(data), rng.choice((8, 24, 64, len(data)))))] = rng.choice((rng.randrange(256), 0, 255, 128))
        for name, *given in calls(family, rng.choice(sketches), bytes(data[: rng.choice((len(data), len(data), len(data) - 5))])):
            try:
                OPERATIONS[name](*given)
            except SparkValueError:
                refused += 1
print("refused", refused > 500)
"""


def test_mutated_sketches_are_answered_or_refused() -> None:
    run = subprocess.run([sys.executable, "-c", _MUTATED], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "refused True\n", "")


@pytest.mark.parametrize(
    ("name", "data", "condition"),
    [
        ("hll_sketch_estimate", "0201070c03008008cbd7c204" + "00" * 28, "HLL_INVALID_INPUT_SKETCH_BUFFER"),
        ("hll_union_agg", "020107ff03040008" + "00" * 32, "HLL_INVALID_INPUT_SKETCH_BUFFER"),
        (
            "tuple_sketch_estimate_integer",
            "02030901000acc93030000000000000015f97dcbbd86a1050100000000c397fc1281709d1e0100000000",
            "TUPLE_INVALID_INPUT_SKETCH_BUFFER",
        ),
        ("theta_sketch_estimate", "01040301011acc93022d0c35ee5befc800a8be82c8b8dcb400", "THETA_INVALID_INPUT_SKETCH_BUFFER"),
        ("theta_sketch_estimate", "02030300001acc93ffffff7f00000000" + "11" * 16, "THETA_INVALID_INPUT_SKETCH_BUFFER"),
    ],
)
def test_bytes_that_are_no_sketch_are_refused_by_name(name: str, data: str, condition: str) -> None:
    from quiver_proto.spark_functions.java import SparkValueError
    from quiver_proto.spark_functions.sketches import OPERATIONS

    given = bytes.fromhex(data)
    with pytest.raises(SparkValueError) as refused:
        OPERATIONS[name]([given] if name.endswith("_agg") else given)
    assert str(refused.value).startswith(f"[{condition}]")


def test_a_difference_with_an_empty_sketch_of_sparks() -> None:
    """Whose hash of the seed is 0: the library compares it once the other has no keys left."""
    from quiver_proto.spark_functions.sketches import OPERATIONS

    thin = bytes.fromhex("03030300001acc930000000000000000564de3b77dd7d200")
    assert OPERATIONS["theta_difference"](thin, bytes.fromhex("01030300001E0000")) == thin
