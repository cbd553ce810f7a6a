"""Write docs/parity-sql.md: every name of PySpark's classes of DataFrames, and what it is here. `python driver/parity_sql.py`
(`make docs`).

Names come from pyspark-sql-names.txt. Whether one exists is looked up in the code; what it does differently stands in NOTES. What does
not exist must be in MISSING: a name that is neither is a fault, and the page is not written.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PAGE = FOLDER.parent / "docs" / "parity-sql.md"
NAMES = FOLDER / "pyspark-sql-names.txt"
SAME, DIFFERS, NOT_HERE = "same", "differs", "missing"

_STREAMS = "there are no streaming queries"
_PLACES = "there are no geographic types; keep WKB as binary"
_TABLES = "tables that can be changed are not there; write files"
MISSING = {
    "DataFrame.asTable": "no function of users takes a table: give `mapInPandas` or `applyInPandas` the rows",
    "DataFrame.mergeInto": _TABLES,
    "GroupedData.applyInPandasWithState": _STREAMS,
    "GroupedData.transformWithState": _STREAMS,
    "GroupedData.transformWithStateInPandas": _STREAMS,
    "SparkSession.addArtifacts": "it belongs to Spark Connect; use `spark.context.addPyFile` and `addFile`",
    "TableValuedFunction.collations": "texts are compared by their bytes only",
    "TableValuedFunction.python_worker_logs": "logs of tasks are on the driver's page",
    "TableValuedFunction.sql_keywords": "the parser is sqlglot's; quote a name in backticks where it is a word of SQL",
    "types.Geography": _PLACES,
    "types.GeographyType": _PLACES,
    "types.Geometry": _PLACES,
    "types.GeometryType": _PLACES,
}
"""What does not exist: why, and what to use. What exists to say so (quiver.sql.refusals) says it itself."""

_ASKED = "shows in `rdd`, in files and in what Python's functions get; elsewhere a query has as many partitions as suit it"
NOTES = {
    "DataFrame.approxQuantile": "exact, whatever error is allowed",
    "DataFrame.coalesce": _ASKED,
    "DataFrame.crosstab": "computed at once",
    "DataFrame.nearestByJoin": "approx is exact: all pairs are ranked",
    "DataFrame.observe": "metrics are computed by a query of their own after the first query on the rows; names without an Observation "
    "have no effect, as there are no listeners",
    "Observation.get": "raises when no query has run or is running; PySpark waits for ever",
    "SparkSession.version": "Quiver's version; SQL's `version()` tells the Spark whose meaning functions have",
    "SparkSession.Builder.enableHiveSupport": "changes nothing: names of tables live as long as the application",
    "Catalog.analyzeTable": "does nothing: sizes are looked up whenever a table is read",
    "Catalog.recoverPartitions": "does nothing: partitions are looked up whenever a table is read",
    "Catalog.refreshByPath": "kept rows are dropped, and not kept again",
    "Catalog.createTable": "names of tables live as long as the application, as in Spark without Hive",
    "types.CalendarIntervalType": "no column can have it",
    "types.StringType": "only the collation UTF8_BINARY compares",
    "DataFrame.describe": "computed at once; the last digit of means and deviations may differ",
    "DataFrame.explain": "prints Quiver's tree and the kernel's plan, and whether it runs as one task or in stages",
    "DataFrame.freqItems": "exact, and computed at once",
    "DataFrame.randomSplit": "a seed takes other rows than Spark's",
    "DataFrame.repartition": _ASKED,
    "DataFrame.repartitionById": "by a column of the DataFrame, and as long as the rows have it",
    "DataFrame.repartitionByRange": _ASKED,
    "DataFrame.sample": "with replacement a seed takes other rows than Spark's",
    "DataFrame.sameSemantics": "may be False for what Spark's optimiser finds to be the same",
    "DataFrame.summary": "computed at once; percentiles are exact; the last digit of means and deviations may differ",
    "DataFrame.transpose": "computed at once",
    "DataFrameStatFunctions.approxQuantile": "exact, whatever error is allowed",
    "DataFrameStatFunctions.crosstab": "computed at once",
    "DataFrameStatFunctions.freqItems": "exact, and computed at once",
}
"""How what exists differs."""

PREFACE = """# Every name of PySpark's DataFrames, and what it is here

Made by `make docs` from the code and from the list of names in `driver/pyspark-sql-names.txt`; don't edit it.

**same**: the same meaning, arguments and results. **differs**: the same name for the same purpose, but for what is said. **missing**: why,
and what to use instead. Rows without an orderBy come in no order that could be counted on, there as here.
"""


class Unaccounted(Exception):
    """Names that neither exist nor are in MISSING."""


def names() -> list[str]:
    """PySpark's, `Class.member`."""
    return [line for line in NAMES.read_text().splitlines() if line and not line.startswith("#")]


_ELSEWHERE = {
    "Catalog": "quiver.sql.catalog:Catalog",
    "RuntimeConfig": "quiver.sql.session_conf:RuntimeConfig",
    "TableValuedFunction": "quiver.sql.tvf:TableValuedFunction",
    "types": "quiver.sql.types:",
}
"""Where what `quiver.sql` does not export is: module and name (nothing: the module itself)."""


def _member(name: str) -> object:
    """What a name is in the code, None: nothing."""
    owner, *members = name.split(".")
    module, _, kind = _ELSEWHERE.get(owner, f"quiver.sql:{owner}").partition(":")
    home = importlib.import_module(module)
    found: object = getattr(home, kind) if kind else home
    for part in members:
        found = inspect.getattr_static(found, part, None)
        if found is None:
            return None
    return found


def judged(name: str) -> tuple[str, str]:
    """What a name is here, and its note. Raises Unaccounted."""
    from quiver.sql.refusals import NotOffered

    found = _member(name)
    if isinstance(found, NotOffered):
        return NOT_HERE, found.why
    if found is not None:
        return (DIFFERS, NOTES[name]) if name in NOTES else (SAME, "")
    if name not in MISSING:
        raise Unaccounted(f"neither in the code nor in MISSING: {name}")
    return NOT_HERE, MISSING[name]


def page(given: Iterable[str]) -> str:
    """The page in Markdown. Raises Unaccounted."""
    found = [(name, *judged(name)) for name in given]
    counts = {status: sum(entry[1] == status for entry in found) for status in (SAME, DIFFERS, NOT_HERE)}
    parts = [PREFACE, f"Of {len(found)} names {counts[SAME]} are the same, {counts[DIFFERS]} differ, {counts[NOT_HERE]} are missing."]
    for owner in dict.fromkeys(name.partition(".")[0] for name, _, _ in found):
        parts.append(f"\n## {owner}\n\n| name | | |\n|---|---|---|")
        parts += [f"| `{name.partition('.')[2]}` | {status} | {note} |" for name, status, note in found if name.startswith(f"{owner}.")]
    return "\n".join(parts) + "\n"


def main() -> None:
    try:
        text = page(names())
    except Unaccounted as error:
        sys.exit(str(error))
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
