"""Asking the kernel for the type of a call: for functions whose result types are its own business."""

from __future__ import annotations

import functools

from quiver.sql import types as t
from quiver.sql.arrow_types import spark_type
from quiver.sql.errors import AnalysisException
from quiver.sql.lowering.names import cast
from quiver.sql.registry.model import Function
from quiver.sql.registry.python import prepare


@functools.lru_cache(maxsize=4096)
def kernel_type(function: Function, kinds: tuple[t.DataType, ...]) -> t.DataType:
    """The type of the function's result for arguments of these types. Raises AnalysisException when the kernel has none."""
    from quiver.sql.kernel import bare_session

    columns = ", ".join(f"{cast('NULL', kind)} AS a{i}" for i, kind in enumerate(kinds))
    args = [f"a{i}" for i in range(len(kinds))]
    call = function.lower([*args, "'UTC'"], [*kinds, t.StringType()]) if function.zoned else function.lower(args, kinds)
    prepare(bare_session(), call)
    try:
        schema = bare_session().sql(f"SELECT {call} AS result FROM (SELECT {columns or '1'})").schema()
    except Exception as error:
        raise AnalysisException(
            f'Cannot resolve "{function.name}({", ".join(kind.simpleString() for kind in kinds)})": {error}', "DATATYPE_MISMATCH"
        ) from None
    return spark_type(schema.field(0).type)
