"""Functions of KLL sketches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.spark_functions.sketch_bytes import MOST_ITEMS, is_kll
from quiver_proto.spark_functions.sketches.operations import adds, datasketches, present, read_sound, wrong


class _Kll:
    """The functions of KLL sketches of one type."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._number: Callable[[Any], Any] = int if kind == "bigint" else float
        for prefix, function in (
            ("kll_sketch_agg_", self._of), ("kll_merge_agg_", self._merged), ("kll_sketch_merge_", self._merge),
            ("kll_sketch_get_n_", self._count), ("kll_sketch_get_quantile_", self._quantile), ("kll_sketch_get_rank_", self._rank),
            ("kll_sketch_to_string_", self._shown),
        ):  # fmt: skip
            adds(prefix + kind)(function)

    def _new(self, name: str, k: int) -> Any:
        if not 8 <= k <= 65535:
            raise SparkValueError(
                "KLL_SKETCH_K_OUT_OF_RANGE", f"For function `{name}`, the k parameter must be between 8 and 65535 (inclusive), but got {k}."
            )
        library = datasketches()
        kinds = {"bigint": library.kll_items_sketch, "double": library.kll_doubles_sketch, "float": library.kll_floats_sketch}
        return kinds[self._kind](k)

    def _serde(self) -> tuple[Any, ...]:
        return (datasketches().PyLongsSerDe(),) if self._kind == "bigint" else ()

    def _read(self, name: str, buffer: bytes) -> Any:
        is_sound = is_kll(buffer, {"bigint": "q", "double": "d", "float": "f"}[self._kind])
        return read_sound("KLL", name, is_sound, lambda: type(self._new(name, 200)).deserialize(buffer, *self._serde()))

    def _of(self, name: str, values: list[Any] | None, k: int = 200) -> bytes:
        sketch = self._new(name, k)
        for value in present(values):
            sketch.update(value)
        return bytes(sketch.serialize(*self._serde()))

    def _merged(self, name: str, buffers: list[Any] | None, k: int = 0) -> bytes:
        """`k` 0: that of the first."""
        sketches = [self._read(name, buffer) for buffer in present(buffers)]
        if sum(sketch.n for sketch in sketches) >= MOST_ITEMS:
            wrong("KLL", name)
        whole = self._new(name, k or (sketches[0].k if sketches else 200))
        for sketch in sketches:
            whole.merge(sketch)
        return bytes(whole.serialize(*self._serde()))

    def _merge(self, name: str, left: bytes, right: bytes) -> bytes:
        return self._merged(name, [left, right])

    def _count(self, name: str, buffer: bytes) -> int:
        return int(self._read(name, buffer).n)

    def _each(self, name: str, buffer: bytes, given: Any, one: Callable[[Any, Any], Any]) -> Any:
        sketch = self._read(name, buffer)
        if sketch.is_empty():
            wrong("KLL", name)
        if isinstance(given, list):
            return [None if item is None else one(sketch, item) for item in given]
        return one(sketch, given)

    def _quantile(self, name: str, buffer: bytes, ranks: Any) -> Any:
        if not all(0 <= rank <= 1 for rank in (ranks if isinstance(ranks, list) else [ranks]) if rank is not None):
            raise SparkValueError(
                "KLL_SKETCH_INVALID_QUANTILE_RANGE", f"For function `{name}`, the quantile value must be between 0.0 and 1.0 (inclusive)."
            )
        return self._each(name, buffer, ranks, lambda sketch, rank: self._number(sketch.get_quantile(float(rank), True)))

    def _rank(self, name: str, buffer: bytes, values: Any) -> Any:
        return self._each(name, buffer, values, lambda sketch, value: sketch.get_rank(self._number(value), True))

    def _shown(self, name: str, buffer: bytes) -> str:
        sketch = self._read(name, buffer)
        told = dict(line.split(":", 1) for line in sketch.to_string().splitlines() if ":" in line)
        told = {key.strip(): text.strip() for key, text in told.items()}
        width = 4 if self._kind == "float" else 8
        capacity, levels = int(told["Capacity items"]), int(told["Levels"])
        kept = sketch.num_retained
        ends = [("Min Item", sketch.get_min_value), ("Max Item", sketch.get_max_value)]
        lines = [
            ("K", sketch.k), ("Dynamic min K", told["min K"]), ("M", 8), ("N", sketch.n),
            ("Epsilon", f"{sketch.normalized_rank_error(False) * 100:.3f}%"),
            ("Epsilon PMF", f"{sketch.normalized_rank_error(True) * 100:.3f}%"), ("Empty", str(sketch.is_empty()).lower()),
            ("Estimation Mode", str(sketch.is_estimation_mode()).lower()), ("Levels", levels), ("Level 0 Sorted", told["Sorted"]),
            ("Capacity Items", capacity), ("Retained Items", kept), ("Free Space", capacity - kept), ("ReadOnly", "false"),
            ("Updatable Storage Bytes", 20 + 4 * (levels + 1) + width * (capacity + 2)), ("Compact Storage Bytes", len(buffer)),
            *((label, "NaN" if sketch.is_empty() else self._number(value())) for label, value in ends),
        ]  # fmt: skip
        title = {"bigint": "Longs", "double": "Doubles", "float": "Floats"}[self._kind]
        body = "".join(f"   {label:<23}: {value}\n" for label, value in lines)
        return f"\n### KllKll{title}Sketch Summary:\n{body}### End sketch summary\n"


for _kind in ("bigint", "double", "float"):
    _Kll(_kind)
