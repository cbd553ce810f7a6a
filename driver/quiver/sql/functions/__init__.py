"""PySpark's functions: `from quiver.sql import functions as F`. A module for each family; what its `__all__` names is offered here.

A name of PySpark's that is not here raises an error that says why, and what to use.
"""

from typing import TYPE_CHECKING

from quiver.sql.functions import (
    aggregates,
    basics,
    binaries,
    bits,
    collections,
    conditions,
    datetime,
    documents,
    encodings,
    epochs,
    formats,
    generators,
    hashes,
    lambdas,
    math,
    moments,
    searching,
    sketches,
    sketches_by_type,
    statistics,
    strings,
    surroundings,
    times_of_day,
    trigonometry,
    variants,
    windows,
    xml_paths,
)
from quiver.sql.functions.aggregates import *
from quiver.sql.functions.basics import *
from quiver.sql.functions.binaries import *
from quiver.sql.functions.bits import *
from quiver.sql.functions.collections import *
from quiver.sql.functions.conditions import *
from quiver.sql.functions.datetime import *
from quiver.sql.functions.documents import *
from quiver.sql.functions.encodings import *
from quiver.sql.functions.epochs import *
from quiver.sql.functions.formats import *
from quiver.sql.functions.generators import *
from quiver.sql.functions.hashes import *
from quiver.sql.functions.lambdas import *
from quiver.sql.functions.math import *
from quiver.sql.functions.moments import *
from quiver.sql.functions.searching import *
from quiver.sql.functions.sketches import *
from quiver.sql.functions.sketches_by_type import *
from quiver.sql.functions.statistics import *
from quiver.sql.functions.strings import *
from quiver.sql.functions.surroundings import *
from quiver.sql.functions.times_of_day import *
from quiver.sql.functions.trigonometry import *
from quiver.sql.functions.variants import *
from quiver.sql.functions.windows import *
from quiver.sql.functions.xml_paths import *

power = pow
negate = negative

_USERS = {
    **dict.fromkeys(("ArrowUDFType", "PandasUDFType", "arrow_udf", "call_udf", "pandas_udf", "udf"), "user_defined"),
    **dict.fromkeys(("arrow_udtf", "udtf"), "table_functions"),
    **dict.fromkeys(
        ("AnalyzeArgument", "AnalyzeResult", "OrderingColumn", "PartitioningColumn", "SelectedColumn", "SkipRestOfInputTableException"),
        "udtf_analysis",
    ),
}
"""Names and modules of quiver.sql.python. They need Column, which needs these functions: they are imported when they are asked for."""

__all__ = [
    "AnalyzeArgument", "AnalyzeResult", "ArrowUDFType", "OrderingColumn", "PandasUDFType", "PartitioningColumn", "SelectedColumn",
    "SkipRestOfInputTableException", "arrow_udf", "arrow_udtf", "call_udf", "negate", "pandas_udf", "power", "udf", "udtf",
]  # fmt: skip
__all__ += aggregates.__all__
__all__ += basics.__all__
__all__ += binaries.__all__
__all__ += bits.__all__
__all__ += collections.__all__
__all__ += conditions.__all__
__all__ += datetime.__all__
__all__ += documents.__all__
__all__ += encodings.__all__
__all__ += epochs.__all__
__all__ += formats.__all__
__all__ += generators.__all__
__all__ += hashes.__all__
__all__ += lambdas.__all__
__all__ += math.__all__
__all__ += moments.__all__
__all__ += searching.__all__
__all__ += sketches.__all__
__all__ += sketches_by_type.__all__
__all__ += statistics.__all__
__all__ += strings.__all__
__all__ += surroundings.__all__
__all__ += times_of_day.__all__
__all__ += trigonometry.__all__
__all__ += variants.__all__
__all__ += windows.__all__
__all__ += xml_paths.__all__

if TYPE_CHECKING:
    from quiver.sql.python.table_functions import arrow_udtf, udtf
    from quiver.sql.python.udtf_analysis import (
        AnalyzeArgument,
        AnalyzeResult,
        OrderingColumn,
        PartitioningColumn,
        SelectedColumn,
        SkipRestOfInputTableException,
    )
    from quiver.sql.python.user_defined import ArrowUDFType, PandasUDFType, arrow_udf, call_udf, pandas_udf, udf
else:

    def __getattr__(name: str) -> object:
        if name in _USERS:
            import importlib

            return getattr(importlib.import_module(f"quiver.sql.python.{_USERS[name]}"), name)
        if name.startswith("__"):
            raise AttributeError(name)
        from quiver.sql.functions.absent import absent
        from quiver.sql.functions.names import PYSPARK

        raise absent(name, __all__, PYSPARK)
