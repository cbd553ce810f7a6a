"""What the registry holds of a function. The tables are in the modules beside this one, by family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from quiver.sql.types import DataType

Types = Sequence[DataType]
Lower = Callable[[Sequence[str], Types], str]
"""Writes a call in the kernel's SQL, of the arguments' text and types."""
Coerce = Callable[[Types], Sequence[DataType | None]]
"""The types that arguments are cast to."""
Parameters = Callable[[Types, int], Sequence[DataType]]
"""The types of a lambda's parameters."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function.

    `coerce` gives the types that arguments are cast to (an entry None: as it is); it raises AnalysisException for arguments that can't be.
    `returns` gives the type of the result from those of the coerced arguments; None: the kernel is asked. `lower` writes the call in the
    kernel's SQL, given the arguments' text and types. `kind`: scalar, aggregate, window, generator. `nullable`: may the result be null;
    None: if an argument may.
    `zoned`: `lower` is given the session's time zone as one more argument, the last, a string constant. `wall`: `lower` writes a
    wall-clock time (timestamp_ntz) of the session's time zone, of which the result is the instant; `returns` gives a timestamp.
    An argument that is wanted as a timestamp_ntz is an instant's wall-clock time in the session's zone.
    `parameters`, of a function that takes lambdas: the types of a lambda's parameters, by those of the other arguments and how many it has.
    `unchecked`: a cheaper way to write a call whose result can't leave its type (quiver.sql.analysis.ranges).
    """

    name: str
    lower: Lower
    returns: Callable[[Types], DataType] | None = None
    coerce: Coerce | None = None
    kind: str = "scalar"
    nullable: bool | None = None
    arity: tuple[int, int | None] = (0, None)
    parameters: Parameters | None = None
    zoned: bool = False
    wall: bool = False
    unchecked: Lower | None = None


AFTER: Final = "\ud800"
"""In what an aggregate is lowered to: behind each aggregate of the kernel's, where FILTER and OVER go. Without it they go to the end.

Half a surrogate, which no user's text can have on its way to the kernel."""
LISTED_BY_ITSELF: Final = "listagg by itself"
"""Of value, separator, directions and keys: a list whose order the kernel is not asked for."""
ORDERED: Final = "\ud801"
"""In the last argument of an aggregate whose rows are taken in an order: behind it come the keys. It becomes ORDER BY."""
DESCENDING: Final = " desc"
"""Behind the name of an aggregate of a group's values in their order: it takes them from the largest on."""
WITH_NULLS: Final = " respecting nulls"
"""Behind the name of an aggregate that gathers values: nulls are gathered, too."""
OVER: Final = " over"
"""Behind the name of an aggregate that is computed in another way over a window."""
FUNCTIONS: dict[str, Function] = {}
"""By name, lower case. Filled when the modules of the families are imported (quiver.sql.registry.all)."""


def register(function: Function, *aliases: str) -> None:
    """Add a function under its name and others. A name is given once."""
    for name in (function.name, *aliases):
        assert name not in FUNCTIONS, name
        FUNCTIONS[name] = function


def lookup(name: str) -> Function | None:
    """The function of that name (any case), or None."""
    import quiver.sql.registry.all  # noqa: F401  # fills the table

    return FUNCTIONS.get(name.lower())


def call(kernel_name: str) -> Callable[[Sequence[str], Types], str]:
    """Written as a plain call of the kernel's function of that name."""
    return lambda args, kinds: f"{kernel_name}({', '.join(args)})"


def template(text: str) -> Callable[[Sequence[str], Types], str]:
    """Written with the arguments in place of {0}, {1}, …; {all} is all of them with commas between."""
    return lambda args, kinds: text.format(*args, all=", ".join(args))
