"""What arithmetic takes, and what types its results have."""

from __future__ import annotations

from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.analysis.coercion import as_decimal, bounded, expect_common
from quiver.sql.errors import AnalysisException
from quiver.sql.registry.model import Types


def numbers(operator: str, kinds: Types) -> Sequence[t.DataType | None]:
    """What arguments of arithmetic are cast to (None: as they are). Raises AnalysisException for what is no number."""
    # A string beside an integer is one, beside anything else a double.
    whole = any(isinstance(kind, t.IntegralType) for kind in kinds)
    plain = [(t.LongType() if whole else t.DoubleType()) if isinstance(kind, t.StringType) else kind for kind in kinds]
    for kind in plain:
        if not isinstance(kind, t.NumericType | t.NullType | t.DayTimeIntervalType | t.YearMonthIntervalType):
            if isinstance(kind, t.ArrayType | t.MapType | t.StructType) and any(isinstance(each, t.AtomicType) for each in plain):
                raise differing(operator, kinds)
            raise AnalysisException(
                f'Cannot resolve "{operator}" due to data type mismatch: it takes numbers, not "{kind.simpleString().upper()}".',
                "DATATYPE_MISMATCH.BINARY_OP_WRONG_TYPE",
            )
    both = expect_common(operator, plain)
    if isinstance(both, t.NullType):
        both = t.DoubleType()
    if isinstance(both, t.DecimalType):
        return [as_decimal(kind) if isinstance(kind, t.IntegralType | t.DecimalType) else both for kind in plain]
    return [both] * len(plain)


def sum_type(kinds: Types) -> t.DataType:
    """The type of a sum or difference of these, decimals with room for a digit carried."""
    a, b = kinds
    if isinstance(a, t.DecimalType) and isinstance(b, t.DecimalType):
        scale = max(a.scale, b.scale)
        return bounded(max(a.precision - a.scale, b.precision - b.scale) + scale + 1, scale)
    return a


def product_type(kinds: Types) -> t.DataType:
    """The type of a product of these."""
    a, b = kinds
    if isinstance(a, t.DecimalType) and isinstance(b, t.DecimalType):
        return bounded(a.precision + b.precision + 1, a.scale + b.scale)
    return a


def quotient_type(kinds: Types) -> t.DataType:
    """The type of a quotient of these, with at least six digits of the fraction."""
    a, b = kinds
    if isinstance(a, t.DecimalType) and isinstance(b, t.DecimalType):
        scale = max(6, a.scale + b.precision + 1)
        return bounded(a.precision - a.scale + b.scale + scale, scale)
    return a


def differing(operator: str, kinds: Types) -> AnalysisException:
    """The error of operands that don't go together."""
    listed = " and ".join(f'"{kind.simpleString().upper()}"' for kind in kinds)
    return AnalysisException(
        f'Cannot resolve "{operator}" due to data type mismatch: the left and right operands have incompatible types ({listed}).',
        "DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES",
    )


def remainder_type(kinds: Types) -> t.DataType:
    """The type of a remainder of these."""
    a, b = kinds
    if isinstance(a, t.DecimalType) and isinstance(b, t.DecimalType):
        scale = max(a.scale, b.scale)
        return bounded(min(a.precision - a.scale, b.precision - b.scale) + scale, scale)
    return a
