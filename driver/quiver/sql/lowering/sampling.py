"""Samples of rows in the kernel's SQL."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.lowering.names import column
from quiver.sql.lowering.repeats import each_once
from quiver.sql.registry.drawing import seeded
from quiver.sql.tree import relations as r
from quiver.sql.tree.expressions import Attribute

HERE = '"#here"'
"""A column that the kernel takes for something else each time."""
_KEY, _COPY, _DRAW, _ITEM = '"#key"', '"#copy"', '"#draw"', '"#item"'


def fenced(columns: Sequence[Attribute]) -> str:
    """The columns, each of them as something that depends on HERE."""
    return ", ".join(f"CASE WHEN {HERE} >= 0 THEN {column(each)} END AS {column(each)}" for each in columns)


def sample(relation: r.Sample, source: str, is_fenced: bool) -> str:
    """The SELECT of a Sample over `source`, in its order where lots are drawn by partition; `is_fenced`: no filter passes it."""
    columns = each_once(relation.child.output)
    kept = ", ".join(map(column, columns))
    if relation.by_value:
        return _by_value(relation, source, kept)
    drawn = f"SELECT *, {seeded([f'CAST({relation.seed} AS BIGINT)'])} AS {HERE} FROM {source}"
    shown = fenced(columns) if is_fenced else kept
    if not relation.with_replacement:
        wanted = f"{HERE} >= {relation.lower!r} AND {HERE} < {relation.lower + relation.fraction!r}"
        return f"SELECT {shown} FROM ({drawn}) WHERE ({wanted}) = (random() >= 0)"
    branches = " ".join(f"WHEN {HERE} < {share!r} THEN {count}" for count, share in enumerate(_poisson(relation.fraction)))
    return f"SELECT {kept} FROM (SELECT {shown}, unnest(range(0, CASE {branches} ELSE 0 END)) AS {_ITEM} FROM ({drawn}))"


def _by_value(relation: r.Sample, source: str, kept: str) -> str:
    """A row's lot is drawn from what it holds: a digest of its values, of how many equal rows came before it, and of the seed. So a
    row has the same lot in each of the parts that a relation is split into, in whatever order rows come."""
    texts = [column(attribute) for attribute in each_once(relation.child.output) if _has_text(attribute.type)]
    values = ", ".join(f"coalesce(CAST({each} AS VARCHAR), '\x01')" for each in texts)
    key = f"md5(concat_ws('\x02', {values}))" if values else "''"
    keyed = f"SELECT *, {key} AS {_KEY} FROM {source}"
    numbered = f"SELECT *, row_number() OVER (PARTITION BY {_KEY}) AS {_COPY} FROM ({keyed})"
    seed = hashlib.sha256(str(relation.seed).encode()).hexdigest()[:16]
    drawn = f"SELECT {kept}, substr(md5(concat({_KEY}, '/', CAST({_COPY} AS VARCHAR), '/{seed}')), 1, 13) AS {_DRAW} FROM ({numbered})"
    lower, upper = _bound(relation.lower), _bound(relation.lower + relation.fraction)
    return f"SELECT {kept} FROM ({drawn}) WHERE {_DRAW} >= '{lower}' AND {_DRAW} < '{upper}'"


def _bound(share: float) -> str:
    """A share of all draws as a bound of their hexadecimal digits."""
    scaled = round(share * 2**52)
    return "g" if scaled >= 2**52 else f"{max(scaled, 0):013x}"  # Every digit is below g.


def _poisson(mean: float) -> list[float]:
    """Shares of draws of at most 0, 1, 2 … copies, to where no more are to be expected."""
    shares: list[float] = []
    share = total = math.exp(-mean)
    while True:
        shares.append(total)
        if total >= 1 - 2**-40 and len(shares) > mean:
            return [*shares[:-1], 1.0]
        share *= mean / len(shares)
        total += share


def _has_text(kind: t.DataType) -> bool:
    return isinstance(kind, t.AtomicType) and not isinstance(kind, t.BinaryType)
