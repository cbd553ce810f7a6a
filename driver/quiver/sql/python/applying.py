"""Functions over the batches of a DataFrame and over its groups, as relations."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from quiver.callsite import capture
from quiver.closures import seal
from quiver.sql import types as t
from quiver.sql.errors import PySparkTypeError, PySparkValueError, wrong_argument
from quiver.sql.python.mapping import takes_key
from quiver.sql.python.user_defined import hints_of
from quiver.sql.tree import relations as r
from quiver.sql.tree.expressions import Attribute

if TYPE_CHECKING:
    from quiver.sql.session import Session
    from quiver.sql.tree.expressions import Expression


def mapped(session: Session, child: r.Relation, function: Any, schema: Any, kind: str) -> r.PythonMap:
    """mapInPandas and mapInArrow."""
    return r.PythonMap(child, _sealed(function), kind, _columns(session, schema), session._state.batch_rows(), session.conf.zone())


def grouped(
    session: Session, children: Sequence[r.Relation], keys: Sequence[Sequence[Expression]], function: Any, schema: Any, kind: str
) -> r.GroupedMap:
    """applyInPandas and applyInArrow, of groups or cogroups. Raises PySparkValueError for functions of other parameters."""
    sealed = _sealed(function)
    try:
        with_key = takes_key(function, len(children))
    except TypeError:
        with_key = False
    except ValueError as problem:
        raise PySparkValueError(f"Invalid function for groups: {problem}.", "INVALID_PANDAS_UDF") from None
    resolved = tuple(
        tuple(session._state.analyser.resolve(key, child.output) for key in session._state.analyser.expand(some, child.output))
        for some, child in zip(keys, children, strict=True)
    )
    if len({len(some) for some in resolved}) > 1:
        raise PySparkValueError("Both sides of a cogroup need as many keys.", "INVALID_COGROUP_KEYS")
    return r.GroupedMap(
        tuple(children), resolved, sealed, kind, _columns(session, schema), session._state.batch_rows(), session.conf.zone(), with_key,
        len(children) == 1 and _wants_iterator(function),
    )  # fmt: skip


def _sealed(function: Any) -> Any:
    if not callable(function):
        raise PySparkTypeError(f"Argument `func` should be a callable, got {type(function).__name__}.", "NOT_CALLABLE")
    return seal(function, capture())


def _columns(session: Session, schema: Any) -> tuple[Attribute, ...]:
    kinds = t.DataType.fromDDL(schema) if isinstance(schema, str) else schema
    if not isinstance(kinds, t.StructType):
        raise wrong_argument("schema", "StructType or str", schema)
    return r.columns_of(kinds, session._state.new_id)


def _wants_iterator(function: Callable[..., Any]) -> bool:
    """Whether its last parameter's hint is an iterator."""
    import collections.abc

    try:
        hints = hints_of(function)
        last = inspect.getfullargspec(function).args[-1]
    except Exception:
        return False
    return typing.get_origin(hints.get(last)) in (collections.abc.Iterator, collections.abc.Iterable)
