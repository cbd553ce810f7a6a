"""What random pipelines do with records. In a module of its own: executors import it. None tells equal values apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


def weight(value: Any) -> int:
    """A small number of any value."""
    match value:
        case None:
            return 0
        case int() | float():
            return int(value) % 7
        case str() | bytes():
            return len(value)
        case tuple() | list():
            return sum(map(weight, value)) % 5
    raise TypeError(f"no weight for {value!r}")


def is_light(value: Any) -> bool:
    return weight(value) % 2 == 0


def is_nothing(value: Any) -> bool:
    return value is None


def always(value: Any) -> bool:
    return True


def never(value: Any) -> bool:
    return False


def as_often_as_heavy(value: Any) -> list[Any]:
    return [value] * (weight(value) % 3)


def wrapped(value: Any) -> tuple[Any, None]:
    return value, None


def listed(value: Any) -> list[Any]:
    return [value, [value]]


def with_weight(value: Any) -> tuple[Any, int]:
    return value, weight(value)


def weight_first(value: Any) -> tuple[int, Any]:
    return weight(value), value


def key_weight_first(pair: tuple[Any, int]) -> tuple[int, int]:
    return weight(pair[0]), pair[1]


def each_wrapped(values: Iterator[Any]) -> Iterator[Any]:
    for value in values:
        yield value, None


def light_ones(index: int, values: Iterator[Any]) -> Iterable[Any]:
    return filter(is_light, values)


def identity(value: Any) -> Any:
    return value


def add(a: int, b: int) -> int:
    return a + b


def larger(a: int, b: int) -> int:
    return a if a >= b else b


def one_more(value: int) -> int:
    return value + 1


def squared(value: int) -> int:
    return value * value


def halved(value: int) -> int:
    return value // 2


def below_three(value: int) -> range:
    return range(value % 3)


def shouted(text: str) -> str:
    return text.upper()


def letters(text: str) -> Iterator[str]:
    return iter(text)


def count_and_sum(seen: tuple[int, int], value: int) -> tuple[int, int]:
    return seen[0] + 1, seen[1] + value


def both_sums(left: tuple[int, int], right: tuple[int, int]) -> tuple[int, int]:
    return left[0] + right[0], left[1] + right[1]


def first_of_group(value: int) -> tuple[int, int]:
    return 1, value


def weights(seen: int, value: Any) -> int:
    return seen + weight(value)
