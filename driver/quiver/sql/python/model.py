"""Users' functions as the tree of expressions holds them, and what the kernel is given for a call of one."""

from __future__ import annotations

import itertools
import json
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver_proto.ops import Function

if TYPE_CHECKING:
    from quiver.sql.python.evaluating import Evaluator

KINDS = (
    "row", "pandas", "pandas_iter", "pandas_aggregate", "pandas_iter_aggregate",
    "arrow", "arrow_iter", "arrow_aggregate", "arrow_iter_aggregate",
)  # fmt: skip
"""What a function takes: the values of a row; a Series (or pyarrow.Array) for each argument; an iterator of them; the same of a group."""

_numbers = itertools.count(1)
bound: weakref.WeakValueDictionary[str, Bound] = weakref.WeakValueDictionary()
"""By the names that lowered queries call them by."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class UserFunction:
    """A user's function, sealed. `names`: of its parameters, where they are known."""

    name: str
    sealed: Function
    returns: t.DataType
    kind: str
    deterministic: bool = True
    nullable: bool = True
    _calls: dict[Any, Bound] = field(default_factory=dict, repr=False)

    @property
    def is_aggregate(self) -> bool:
        """Whether it makes one value of many rows."""
        return self.kind.endswith("aggregate")

    def bind(self, takes: Sequence[t.DataType], names: Sequence[str | None], zone: str, rows: int) -> Bound:
        """It, for arguments of these types."""
        key = tuple(map(repr, takes)), tuple(names), zone, rows
        found = self._calls.get(key)
        if found is None:
            found = self._calls[key] = Bound(f"quiver_user_{next(_numbers):012x}", self, tuple(takes), tuple(names), zone, rows)
            bound[found.name] = found
        return found


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Bound:
    """A user's function for arguments of certain types, under the name by which the kernel knows it."""

    name: str
    function: UserFunction
    takes: tuple[t.DataType, ...]
    names: tuple[str | None, ...]
    zone: str
    rows: int

    @property
    def leading(self) -> int:
        """1 where a column of anything comes first: it tells how many rows there are."""
        return 0 if self.function.is_aggregate else int(not self.takes or not self.function.deterministic)

    def evaluator(self) -> Evaluator:
        """What is called in slots."""
        from quiver.sql.python.evaluating import Evaluator

        function = self.function
        takes = t.StructType([t.StructField(f"_{place}", kind) for place, kind in enumerate(self.takes)])
        gives = t.StructType([t.StructField("value", function.returns)])
        return Evaluator(
            function.sealed.pickled, function.name, function.kind, json.dumps(takes.jsonValue()), json.dumps(gives.jsonValue()), self.names,
            self.rows, self.zone, self.leading,
        )  # fmt: skip

    def kernel_function(self) -> Any:
        """As the kernel takes it. Volatile: else the kernel would call it on the driver for literals, and twice for what a filter needs."""
        import pyarrow as pa
        from datafusion import udf

        from quiver.sql.arrow_types import arrow_type, nullable

        is_aggregate = self.function.is_aggregate
        # A cast of the kernel's gives lists of items, where columns of files have elements.
        takes = [nullable(arrow_type(kind), "item" if lists_within(kind, is_aggregate) else "element") for kind in self.takes]
        if is_aggregate:
            takes = [pa.list_(pa.field("item", pa.struct([pa.field(f"_{place}", kind) for place, kind in enumerate(takes)])))]
        takes = [pa.float64()] * self.leading + takes
        return udf(self.evaluator(), takes, nullable(arrow_type(self.function.returns)), "volatile", self.name)


def lists_within(kind: t.DataType, is_member: bool = False) -> bool:
    """Whether a value of the type has lists inside a struct or a map, or (`is_member`: it is to be in a struct) is one."""
    match kind:
        case t.ArrayType():
            return is_member or lists_within(kind.elementType)
        case t.MapType():
            return lists_within(kind.keyType, True) or lists_within(kind.valueType, True)
        case t.StructType():
            return any(lists_within(field.dataType, True) for field in kind)
        case _:
            return False
