"""Which windows of a cut plan get a sort of their own."""

from __future__ import annotations

import pytest

from quiver.sql.window_order import in_order
from quiver_proto.v1.kernel_pb2 import Expression, Opaque, Plan, Sort, SortKey, Window, WindowExpression

A, B, C = (Opaque.FromString(bytes([8, number])) for number in (1, 2, 3))
SOURCE = Plan()
SOURCE.empty.SetInParent()


def key(of: Opaque, ascending: bool = True) -> SortKey:
    return SortKey(expr=of, ascending=ascending)


def sorted_by(*keys: SortKey, fetch: int = -1) -> Plan:
    sort = Sort(input=SOURCE, expr=[Expression(sort=each) for each in keys], fetch=fetch, preserve_partitioning=True)
    return Plan(sort=sort)


def window(below: Plan, partition: list[Opaque], order: list[SortKey]) -> Plan:
    return Plan(window=Window(input=below, expressions=[WindowExpression(partition_by=partition, order_by=order)]))


@pytest.mark.parametrize(
    "below",
    [
        sorted_by(key(A), key(B), key(C, False)),
        sorted_by(key(B, False), key(A), key(C, False)),
        window(sorted_by(key(A), key(B), key(C, False)), [A], []),
    ],
)
def test_a_sort_of_its_keys_is_enough(below: Plan) -> None:
    assert in_order(window(below, [A, B], [key(C, False)]), below) == below


@pytest.mark.parametrize("below", [SOURCE, sorted_by(key(A), key(C, False)), sorted_by(key(A), key(B), key(C))])
def test_else_rows_are_sorted_once(below: Plan) -> None:
    found = in_order(window(below, [A, B], [key(C, False), key(A)]), below)
    assert found == sorted_by(key(A), key(B), key(C, False))


def test_a_sort_that_drops_rows_stays() -> None:
    first = sorted_by(key(C), fetch=10)
    assert in_order(window(first, [A], []), first).sort.input == first


def test_windows_that_need_no_order() -> None:
    assert in_order(window(SOURCE, [], []), SOURCE) == SOURCE
    linear = window(SOURCE, [A], [])
    linear.window.linear.SetInParent()
    assert in_order(linear, SOURCE) == SOURCE
