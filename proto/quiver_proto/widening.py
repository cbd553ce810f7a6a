"""Which Arrow types can be read as which, all values, without loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def widens(actual: pa.DataType, expected: pa.DataType) -> bool:
    """Whether all values of one type can be read as another, without a look at each."""
    import pyarrow as pa

    is_ = pa.types
    if is_.is_dictionary(actual) or is_.is_run_end_encoded(actual):
        return widens(actual.value_type, expected)
    if actual == expected or is_.is_null(actual):
        return True
    if is_.is_integer(actual):
        signed = actual.bit_width + (0 if is_.is_signed_integer(actual) else 1)
        if is_.is_integer(expected):
            return bool(signed <= expected.bit_width)
        if is_.is_float64(expected):
            return bool(signed <= 33)
        digits = {8: 3, 9: 3, 16: 5, 17: 5, 32: 10, 33: 10, 64: 20, 65: 20}[signed]
        return bool(is_.is_decimal(expected) and expected.precision - expected.scale >= digits)
    if is_.is_floating(actual):
        return bool(is_.is_floating(expected) and actual.bit_width <= expected.bit_width)
    if is_.is_decimal(actual):
        whole = actual.precision - actual.scale
        return bool(is_.is_decimal(expected) and expected.scale >= actual.scale and expected.precision - expected.scale >= whole)
    if _is_bytes(actual):
        return _is_bytes(expected)
    if is_.is_timestamp(actual):
        return bool(is_.is_timestamp(expected))
    if is_.is_date(actual):
        return bool(is_.is_date(expected) or (is_.is_timestamp(expected) and expected.tz is None))
    if is_.is_time(actual) or is_.is_duration(actual):
        return bool(actual.id == expected.id)
    if is_.is_map(actual):
        return bool(is_.is_map(expected) and widens(actual.key_type, expected.key_type) and widens(actual.item_type, expected.item_type))
    if _is_list(actual):
        return _is_list(expected) and widens(actual.value_type, expected.value_type)
    if is_.is_struct(actual):
        if not is_.is_struct(expected):
            return False
        members = {field.name: field.type for field in actual}
        folded = {name.lower() for name in members}
        # A member that is spelt otherwise would be null.
        return all(
            widens(members[field.name], field.type) if field.name in members else field.name.lower() not in folded for field in expected
        )
    return False


def _is_bytes(kind: pa.DataType) -> bool:
    import pyarrow as pa

    is_ = pa.types
    tests = (
        is_.is_string, is_.is_large_string, is_.is_string_view, is_.is_binary, is_.is_large_binary, is_.is_binary_view,
        is_.is_fixed_size_binary,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    is_ = pa.types
    return not is_.is_map(kind) and (is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind) or is_.is_list_view(kind))
