"""Users' functions in the nodes of a stage, and where the user called."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class CallSite:
    """Where the user called an operator: shown in errors, job names and pages."""

    operator: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.operator} at {self.file.rsplit('/', 1)[-1]}:{self.line}"


@dataclass(frozen=True, slots=True)
class Function:
    """A user's callable. `name` is what its repr would tell a person (`<lambda>`, `parse`).

    `broadcasts` are those that it refers to: on the driver alone, which keeps them for as long as a function may need them.
    """

    pickled: bytes
    call_site: CallSite
    name: str
    broadcasts: tuple[Any, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Aggregator:
    """combineByKey's three functions. `create` None means that the first value is the combiner (reduceByKey)."""

    create: Function | None
    merge_value: Function
    merge_combiners: Function
