"""Functions that are casts. Analysis writes casts in their place; here is what they are called, and give."""

from __future__ import annotations

from quiver.sql import types as t
from quiver.sql.analysis.cast_functions import CAST_FUNCTIONS
from quiver.sql.lowering.names import cast
from quiver.sql.registry.define import define


def _cast_to(name: str, kind: t.DataType) -> None:
    define(name, "*", lambda kinds: kind, lambda args, kinds: cast(args[0], kind))


for _name, _kind in CAST_FUNCTIONS.items():
    _cast_to(_name, _kind)
