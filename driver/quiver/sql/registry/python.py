"""Functions that the kernel runs in Python: how calls of them are written, and which it must be given before it plans a query."""

from __future__ import annotations

import hashlib
import re
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiver.sql.lowering.names import cast
from quiver.sql.python.model import Bound, bound
from quiver.sql.registry.model import Types
from quiver.sql.types import ArrayType, DataType, DoubleType, IntegralType, StructType, VariantType

if TYPE_CHECKING:
    from datafusion import SessionContext


@dataclass(frozen=True, slots=True)
class _Needed:
    function: Callable[..., Any]
    takes: tuple[DataType, ...]
    gives: DataType
    nulls: bool
    volatile: bool


@dataclass(frozen=True, slots=True)
class _OfPartition:
    """A function whose value depends on a row's place in its partition (quiver_proto.spark_functions.drawing)."""

    kind: str
    takes: tuple[DataType, ...]
    gives: DataType


@dataclass(frozen=True, slots=True)
class _Checked:
    """Arithmetic over whole columns of `kind` (quiver_proto.spark_functions.checked)."""

    operations: tuple[str, ...]
    operands: int
    kind: DataType


@dataclass(frozen=True, slots=True)
class _Room:
    """Whether there is room for a function's results (quiver_proto.spark_functions.growth)."""

    function: str
    kind: DataType


_NEEDED: dict[str, _Needed | _OfPartition | _Checked | _Room] = {}
_USER = re.compile(r"\bquiver_user_[0-9a-f]{12}\b")
_NAME = re.compile(r"\bquiver_[a-z0-9_]+_[0-9a-f]{12}\b")
_COUNTED = "quiver_counted_"
_known: weakref.WeakKeyDictionary[SessionContext, set[str]] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def python(
    function: Callable[..., Any], returns: Callable[[Types], DataType], *, nulls: bool = False, volatile: bool = False
) -> Callable[[Sequence[str], Types], str]:
    """Lowered as a call of `function`, which takes and gives single Python values and stands in quiver_proto.spark_functions.

    `nulls`: it is called with nulls too, instead of giving null for them. `volatile`: equal arguments may give different results.
    """

    def lower(args: Sequence[str], kinds: Types) -> str:
        gives = returns(kinds)
        what = f"{function.__module__}.{function.__qualname__}({', '.join(map(repr, kinds))}) {gives!r} {nulls} {volatile}"
        name = f"quiver_{function.__name__.strip('_').lower()}_{hashlib.sha256(what.encode()).hexdigest()[:12]}"
        _NEEDED.setdefault(name, _Needed(function, tuple(kinds), gives, nulls, volatile))
        # The kernel makes what is inside lists take nulls by itself, but not what is inside structs, and of signed numbers unsigned ones.
        given = (
            cast(value, kind) if isinstance(kind, IntegralType) or _holds_struct(kind) else value
            for value, kind in zip(args, kinds, strict=True)
        )
        return f"{name}({', '.join(given)})"

    return lower


def of_partition(kind: str, gives: DataType, takes: tuple[DataType, ...] = ()) -> Callable[[Sequence[str]], str]:
    """Written as a call of drawing.OfPartition for so many arguments. A query that has one is cut: a task has one partition's rows."""
    name = f"{_COUNTED}{kind}_{hashlib.sha256(repr((takes, gives)).encode()).hexdigest()[:12]}"
    _NEEDED[name] = _OfPartition(kind, takes, gives)
    return lambda args: f"{name}({', '.join(['random()', *args])})"


def checked(operations: Sequence[str], args: Sequence[str], kind: DataType) -> str:
    """Written as a call of checked.Checked, which names each operand once."""
    needed = _Checked(tuple(operations), len(args), kind)
    name = f"quiver_checked_{hashlib.sha256(repr(needed).encode()).hexdigest()[:12]}"
    _NEEDED.setdefault(name, needed)
    return f"{name}({', '.join(cast(value, kind) for value in args)})"


def with_room_for(function: str, given: str, kind: DataType, size: str) -> str:
    """An argument of `function`, of this type, which is `given` where a result of `size` bytes, and a batch of them, can be made.

    It guards an argument and not the call: constants are computed when a query is planned, from the innermost on.
    """
    needed = _Room(function, kind)
    name = f"quiver_room_{hashlib.sha256(repr(needed).encode()).hexdigest()[:12]}"
    _NEEDED.setdefault(name, needed)
    return f"{name}({cast(given, kind)}, {cast(size, DoubleType())})"


def wants_partitions(text: str) -> bool:
    """Whether a lowered query is to run in stages however little it reads: users' functions take long, and some count rows."""
    return _COUNTED in text or bool(called(text))


def counts_rows(text: str) -> bool:
    """Whether a lowered query has functions that count the rows of a partition: no row may be left out before they see it."""
    return _COUNTED in text


def _holds_struct(kind: DataType) -> bool:
    return isinstance(kind, StructType | VariantType) or (isinstance(kind, ArrayType) and _holds_struct(kind.elementType))


def prepare(context: SessionContext, text: str) -> None:
    """Gives the kernel the Python functions that a lowered query calls."""
    with _lock:
        known = _known.setdefault(context, set())
        for name in {*_NAME.findall(text)} - known - {*_USER.findall(text)}:
            context.register_udf(_kernel_function(name, _NEEDED[name]))
            known.add(name)
    for user in called(text):
        if user.name not in known:
            context.register_udf(user.kernel_function())
            known.add(user.name)
            weakref.finalize(user, _forget, weakref.ref(context), user.name).atexit = False


def called(text: str) -> list[Bound]:
    """The users' functions that a lowered query calls."""
    return [bound[name] for name in dict.fromkeys(_USER.findall(text))] if "quiver_user_" in text else []


def _forget(context: weakref.ref[SessionContext], name: str) -> None:
    living = context()
    if living is not None:
        living.deregister_udf(name)
        _known.get(living, set()).discard(name)


def _kernel_function(name: str, needed: _Needed | _OfPartition | _Checked | _Room) -> Any:
    import pyarrow as pa
    from datafusion import udf

    from quiver.sql.arrow_types import arrow_type
    from quiver_proto.spark_functions.checked import Checked
    from quiver_proto.spark_functions.drawing import OfPartition
    from quiver_proto.spark_functions.growth import Room
    from quiver_proto.spark_functions.rows import ByRow

    if isinstance(needed, _OfPartition):
        takes = [pa.float64(), *map(arrow_type, needed.takes)]
        return udf(OfPartition(needed.kind), takes, arrow_type(needed.gives), "volatile", name)
    if isinstance(needed, _Checked):
        kind = arrow_type(needed.kind)
        return udf(Checked(needed.operations), [kind] * needed.operands, kind, "immutable", name)
    if isinstance(needed, _Room):
        kind = arrow_type(needed.kind)
        return udf(Room(needed.function), [kind, pa.float64()], kind, "immutable", name)

    output = _loose(arrow_type(needed.gives))
    body = ByRow(needed.function, pa.schema([pa.field("r", output)]).serialize().to_pybytes(), needed.nulls, needed.volatile)
    return udf(body, [_loose(arrow_type(kind)) for kind in needed.takes], output, "volatile" if needed.volatile else "immutable", name)


def _loose(kind: Any, inside: bool = False) -> Any:
    """The type with nulls allowed everywhere but in keys: the kernel takes no others for it. `inside`: of a struct's member."""
    import pyarrow as pa

    if pa.types.is_list(kind):
        return pa.list_(pa.field("item", _loose(kind.value_type, inside)))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, _loose(field.type, True)) for field in kind])
    if inside and pa.types.is_map(kind):
        return pa.map_(_loose(kind.key_type, True), pa.field("value", _loose(kind.item_type, True)))
    return kind
