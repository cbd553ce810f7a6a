"""Functions for the kernel that are made of plain values: of a type and options, as a rule."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

Make = Callable[..., Callable[..., Any]]


class Prepared:
    """What `make(*given)` gives, made in the first call, which raises what `make` raises. It travels in plans by what it is made of."""

    def __init__(self, name: str, make: Make, given: tuple[Any, ...]) -> None:
        self.__module__, self.__qualname__, self.__name__ = make.__module__, f"{make.__qualname__} {given}", name
        self._make, self._given = make, given
        self._function: Callable[..., Any] | None = None

    def __reduce__(self) -> Any:
        return prepared, (self.__name__, self._make, *self._given)

    def __call__(self, *values: Any) -> Any:
        if self._function is None:
            self._function = self._make(*self._given)
        return self._function(*values)


@functools.lru_cache(1024)
def prepared(name: str, make: Make, *given: Any) -> Prepared:
    """`name`: what plans call it. `make`: a function or class of a module."""
    return Prepared(name, make, given)
