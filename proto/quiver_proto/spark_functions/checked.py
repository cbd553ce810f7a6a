"""Arithmetic of integers that tells when it leaves their type, over whole columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quiver_proto.spark_functions.java import SparkValueError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Checked:
    """`operations`: add, subtract and multiply, one between each two columns, from left to right; or negate or abs of a single column.

    The columns are of one integral type.
    """

    operations: tuple[str, ...]

    def __call__(self, *columns: pa.Array) -> pa.Array:
        """Raises SparkValueError ARITHMETIC_OVERFLOW, for a result on the way too."""
        import pyarrow as pa
        import pyarrow.compute as pc

        value, *others = columns
        try:
            if not others:
                return pc.call_function(f"{self.operations[0]}_checked", [value])
            for operation, other in zip(self.operations, others, strict=True):
                value = pc.call_function(f"{operation}_checked", [value, other])
        except pa.ArrowInvalid:
            raise SparkValueError("ARITHMETIC_OVERFLOW", "0") from None
        return value
