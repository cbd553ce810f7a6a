"""Expressions. Those of users are untyped and refer to columns by name; the analyser gives back the same classes with every `Name`
replaced by the `Attribute` it means, and every implicit cast written out. `type_of` (quiver.sql.analysis.typing) tells their types.

Operators, functions and aggregates are all `Call`s by Spark's name, lower case: `+`, `=`, `and`, `substring`, `count`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from quiver.sql.types import DataType, IntegerType

if TYPE_CHECKING:
    from quiver.sql.tree.relations import Relation


class Expression:
    """Base of all expressions. Frozen; compares by value."""

    __slots__ = ("_children", "_nullable", "_type")
    _children: tuple[Expression, ...]
    _type: DataType
    _nullable: bool
    """What tree/walking.py and analysis/typing.py have found, once they have: an operator's are those of its operands, and so on down."""


@dataclass(frozen=True, slots=True)
class Literal(Expression):
    """A constant. `value` is a Python value of the type (None for null), as `Row`s have them."""

    value: Any
    type: DataType


@dataclass(frozen=True, slots=True)
class Name(Expression):
    """A column by name as the user wrote it, maybe qualified: ("t", "a"); members of structs follow: ("a", "x")."""

    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Star(Expression):
    """All columns, or those of one qualifier, but for those `without` (names as in Name); `of`: of the relation with these columns.
    `replaced` stand in the places of the columns that they are named as."""

    qualifier: tuple[str, ...] = ()
    without: tuple[tuple[str, ...], ...] = ()
    of: tuple[Attribute, ...] | None = None
    replaced: tuple[Alias, ...] = ()


@dataclass(frozen=True, slots=True)
class Listed(Expression):
    """Several columns in one place, as `colRegex` gives; they are put in its stead."""

    columns: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Attribute(Expression):
    """A column that some relation gives, known by `id` wherever it goes. `qualifier` is the alias or table it can be named by."""

    id: int
    name: str
    type: DataType
    nullable: bool = True
    qualifier: tuple[str, ...] = ()
    metadata: tuple[tuple[str, Any], ...] = field(default=(), hash=False)


@dataclass(frozen=True, slots=True)
class Alias(Expression):
    """`child` under another name. `id` is that of the attribute it becomes, once analysed (0 before)."""

    child: Expression
    name: str
    id: int = 0
    metadata: tuple[tuple[str, Any], ...] = field(default=(), hash=False)


@dataclass(frozen=True, slots=True)
class MultiAlias(Expression):
    """A generator's columns: `inline(x).alias("a", "b")`."""

    child: Expression
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """An operator, function or aggregate by Spark's name. `distinct`, `where` (FILTER), `ignore_nulls` and `order` (in
    which rows are taken) are for aggregates.

    `zone`: the session's time zone, which the analyser writes into calls of functions that need it. `fits`: what it gives is known to lie
    within its type (analysis/extents.py writes that in before a query is lowered).
    """

    name: str
    args: tuple[Expression, ...] = ()
    distinct: bool = False
    where: Expression | None = None
    ignore_nulls: bool = False
    zone: str = ""
    order: tuple[SortKey, ...] = ()
    fits: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Member(Expression):
    """The member `name` of a struct, or of each struct of an array. The analyser makes it of `getfield` and `getitem`."""

    child: Expression
    name: str


@dataclass(frozen=True, slots=True)
class StructOf(Expression):
    """A struct of these members. The analyser makes it of `struct` and `named_struct`."""

    names: tuple[str, ...]
    values: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Cast(Expression):
    """`child` as another type. `lenient`: null where it can't be (try_cast). `zone`: that of clocks, where instants are cast."""

    child: Expression
    type: DataType
    lenient: bool = False
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Case(Expression):
    """The value of the first condition that holds, else `otherwise` (None: null)."""

    branches: tuple[tuple[Expression, Expression], ...]
    otherwise: Expression | None = None


@dataclass(frozen=True, slots=True)
class In(Expression):
    child: Expression
    options: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class SortKey(Expression):
    """How to order by `child`. Nulls are smallest unless said otherwise: first when ascending, last when descending."""

    child: Expression
    ascending: bool = True
    nulls_first: bool | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """Rows of a window. `unit` is rows or range; bounds are offsets (negative: before; of a range maybe expressions), None: unbounded."""

    unit: str
    start: int | Expression | None
    end: int | Expression | None
    spelled: bool = False
    """Is it written in SQL, where what lies before is PRECEDING."""


@dataclass(frozen=True, slots=True)
class WindowSpec(Expression):
    partition_by: tuple[Expression, ...] = ()
    order_by: tuple[SortKey, ...] = ()
    frame: Frame | None = None


@dataclass(frozen=True, slots=True)
class Windowed(Expression):
    """A function over a window."""

    function: Expression
    window: WindowSpec


NUMBER_AS_THEY_COME: Final = Windowed(Call("row_number"), WindowSpec((), (SortKey(Literal(0, IntegerType())),)))
"""A row's number, from 1, in the order in which rows come."""


@dataclass(frozen=True, slots=True)
class Lambda(Expression):
    """A function of values: `transform(xs, x -> x + 1)`. The body refers to its parameters by Variable."""

    parameters: tuple[str, ...]
    body: Expression


@dataclass(frozen=True, slots=True)
class Variable(Expression):
    """A parameter of an enclosing Lambda."""

    name: str
    type: DataType | None = None


@dataclass(frozen=True, slots=True)
class PythonCall(Expression):
    """A call of a user's Python function (python.model.UserFunction). `names`: of each argument, None for those by place.

    `zone`: the session's, in which pandas has instants; `rows`: of a batch at most. Both are written in when it is analysed.
    """

    function: Any
    args: tuple[Expression, ...]
    names: tuple[str | None, ...]
    zone: str = ""
    rows: int = -1

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self.function.name)

    @property
    def type(self) -> DataType:
        """Of its results."""
        kind: DataType = self.function.returns
        return kind


@dataclass(frozen=True, slots=True)
class ScalarSubquery(Expression):
    relation: Relation


@dataclass(frozen=True, slots=True)
class Exists(Expression):
    relation: Relation


@dataclass(frozen=True, slots=True)
class InSubquery(Expression):
    child: Expression
    relation: Relation


@dataclass(frozen=True, slots=True)
class OuterReference(Expression):
    """In a subquery: a column of the query around it."""

    attribute: Attribute


@dataclass(frozen=True, slots=True)
class Outer(Expression):
    """A column of the query around this one, as `col("a").outer()` says."""

    child: Expression


@dataclass(frozen=True, slots=True, eq=False)
class LateSubquery(Expression):
    """A subquery that is analysed when the columns of the query around it are known. `kind`: scalar or exists."""

    kind: str
    within: Callable[[tuple[Attribute, ...]], Relation]
