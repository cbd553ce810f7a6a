"""Exceptions that pass through the kernel, which only keeps their text: they wait here, and their text names them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

PANICKED: Final = "The kernel panicked"
UNTOLD: Final = "rust future panicked"
"""Of a panic while rows are awaited that is all it tells."""
_PANICS: Final = ("PanicException", "RustPanic")
_kept: dict[str, BaseException] = {}
_numbers = itertools.count(1)
_MOST = 32
_MARK = re.compile(r"quiver-fault-\d+")


def keep(error: BaseException) -> str:
    """The text by which `error` is found again."""
    mark = f"quiver-fault-{next(_numbers)}"
    while len(_kept) >= _MOST:
        _kept.pop(next(iter(_kept)), None)
    _kept[mark] = error
    return mark


@contextmanager
def panics_told() -> Iterator[None]:
    """Inside, a panic of the kernel, which may be no Exception and would end a program, is raised as a RuntimeError."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ not in _PANICS:
            raise
        raise RuntimeError(f"{PANICKED}: {error}.") from None


@contextmanager
def taken_back() -> Iterator[None]:
    """Inside, an error of the kernel that stands for a kept exception is raised as this."""
    try:
        yield
    except Exception as error:
        found = _MARK.search(str(error))
        kept = _kept.pop(found[0], None) if found else None
        if kept is None:
            raise
        raise kept from None
