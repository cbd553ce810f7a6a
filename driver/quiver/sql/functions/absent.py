"""Functions of PySpark that are not here: why, and what to use."""

from __future__ import annotations

import difflib
import re
from typing import Final

from quiver.sql.errors import PySparkAttributeError

_SKETCH = "sketches of Apache DataSketches are not there; `count_distinct`, `approx_count_distinct` and `percentile` serve their purposes"
_VARIANT = "there is no type VARIANT; keep JSON as text"
_JSON = "text in JSON is not read by functions yet; use a user's function with `json`, or read files with `spark.read.json`"
_XML = "XML is not read; use a user's function with `xml.etree`"
_CSV = "text in CSV is not read by functions; use `split`, or read files with `spark.read.csv`"
_TIME = "there is no type TIME; use timestamps or seconds"
_INTERVAL = "intervals of months, days and microseconds at once are not there; use `add_months`, `date_add` or `timestamp_add`"
_JAVA = "there is no Java"
_WINDOW = "windows of time are not made by a function yet; group by `date_trunc`, or by unix_timestamp rounded down"
_FOLD = "folding an array is not there; use `explode` and an aggregate"
_UDF = "functions of users are given as `quiver.sql.udf`, where they exist"
_WRITE = "tables are not partitioned by transforms of columns; use a column of its own"
REASONS: Final = (
    (r"(hll|theta|kll|tuple)_.*|count_min_sketch|histogram_numeric|.*_sketch_.*", _SKETCH),
    (r".*variant.*|parse_json|try_parse_json", _VARIANT),
    (r"from_json|to_json|schema_of_json|get_json_object|json_.*", _JSON),
    (r"xpath.*|.*_xml", _XML),
    (r".*_csv|schema_of_csv", _CSV),
    (r"(make|to|try_to|current)_time|time_.*|try_to_time", _TIME),
    (r".*interval.*", _INTERVAL),
    (r"reflect|try_reflect|java_method", _JAVA),
    (r"window|window_time|session_window", _WINDOW),
    (r"aggregate|reduce", _FOLD),
    (r"st_.*", "there are no types of places on maps"),
    (r".*udf|.*udtf|pandas_udf|arrow_udf|unwrap_udt", _UDF),
    (r"years|months|days|hours|bucket", _WRITE),
    (r"input_file_.*", "of a row's file only its name and `_metadata` are known: `input_file_name()`, `_metadata.file_size`"),
    (r"collate|collation", "strings are compared by their characters; use `lower`"),
    (r"map_zip_with", "use `map_concat`, or `map_entries` and `zip_with`"),
    (r"grouping_id", "use `grouping` of each column"),
    (r".*_distinct", "use the aggregate of `collect_set`"),
    (r"timestamp_nanos|unix_nanos", "times are of microseconds; keep nanoseconds as a bigint"),
    (r".*", "not built yet"),
)
"""Patterns of names, the first that fits counts."""


def reason(name: str) -> str:
    """Why a function of PySpark is not here."""
    return next(why for pattern, why in REASONS if re.fullmatch(pattern, name))


def absent(name: str, known: list[str], names: frozenset[str]) -> PySparkAttributeError:
    """The error of asking for a function that is not here; `names`: all of PySpark's."""
    if name in names:
        return PySparkAttributeError(f"functions.{name} is not offered: {reason(name)}.", "NOT_IMPLEMENTED")
    alike = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    hint = f" Did you mean {', '.join(alike)}?" if alike else ""
    return PySparkAttributeError(f"There is no function `{name}`.{hint}", "ATTRIBUTE_NOT_SUPPORTED")
