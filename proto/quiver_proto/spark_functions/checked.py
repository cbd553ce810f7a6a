"""Arithmetic of integers that tells when it leaves their type, over whole columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from quiver_proto.spark_functions.java import SparkValueError

if TYPE_CHECKING:
    import pyarrow as pa

REVERSED: Final = " reversed"


@dataclass(frozen=True, slots=True)
class Checked:
    """`operations`: add, subtract and multiply, of what was computed of the columns so far and the next one; or negate or abs of a single
    column.

    Where REVERSED stands behind an operation, the next column is its first operand. The columns are of one integral type, or of doubles,
    which leave their type for infinity.
    """

    operations: tuple[str, ...]

    def __call__(self, *columns: pa.Array) -> pa.Array:
        """Raises SparkValueError ARITHMETIC_OVERFLOW, for a result on the way too."""
        import pyarrow as pa
        import pyarrow.compute as pc

        value, *others = columns
        how = "" if pa.types.is_floating(value.type) else "_checked"
        try:
            if not others:
                return pc.call_function(f"{self.operations[0]}{how}", [value])
            for operation, other in zip(self.operations, others, strict=True):
                operands = [other, value] if operation.endswith(REVERSED) else [value, other]
                value = pc.call_function(f"{operation.removesuffix(REVERSED)}{how}", operands)
        except pa.ArrowInvalid:
            raise SparkValueError("ARITHMETIC_OVERFLOW", "0") from None
        return value
