"""Window functions."""

from __future__ import annotations

from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.analysis.coercion import expect_common
from quiver.sql.registry.define import define
from quiver.sql.registry.model import AFTER, Function, Types, call, register

for _name in ("row_number", "rank", "dense_rank"):
    define(_name, "", "i", lambda args, kinds, name=_name: f"{name}()", kind="window", nullable=False)  # type: ignore[misc]
for _name in ("percent_rank", "cume_dist"):
    define(_name, "", "d", lambda args, kinds, name=_name: f"{name}()", kind="window", nullable=False)  # type: ignore[misc]
define("ntile", "i", "i", "ntile({0})", kind="window", nullable=False)
# The kernel's own nth_value, when its order is turned round to save a sort, is encoded as if it were not.
define("nth_value", "*i?b", "0", lambda args, kinds: f"array_element(array_agg({args[0]}){AFTER}, {args[1]})", kind="window", nullable=True)


def _neighbour(kinds: Types) -> Sequence[t.DataType | None]:
    if len(kinds) < 3:
        return [None, t.LongType()][: len(kinds)]
    both = expect_common("lag", (kinds[0], kinds[2]))
    return [both, t.LongType(), both]


for _name in ("lag", "lead"):
    register(Function(_name, call(_name), lambda kinds: kinds[0], _neighbour, "window", True, (1, 3)))
