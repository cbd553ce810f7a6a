"""Write docs/parity-sql-functions.md: every function of PySpark, and what it is here. `python driver/parity_functions.py` (`make docs`)."""

from __future__ import annotations

from pathlib import Path

from quiver.sql import functions
from quiver.sql.functions import sketches, sketches_by_type
from quiver.sql.functions.absent import reason
from quiver.sql.functions.names import PYSPARK

PAGE = Path(__file__).resolve().parent.parent / "docs" / "parity-sql-functions.md"
NOTES = {
    "percentile_approx": "exact",
    "approx_percentile": "exact",
    "approx_count_distinct": "another sketch than Spark's; the wanted error is not heeded",
    "hash": "not of maps",
    "xxhash64": "a struct that is null counts as more than nothing",
    "mode": "of values as common the first that was met",
    "aggregate": "the function may use arithmetic, comparisons, conditions, structs and the commonest functions",
    "reduce": "as `aggregate`",
    "array_sort": "a comparator as `aggregate`'s functions",
    "from_json": "options as `spark.read.json`'s: no other locale than en-US, no bounds of texts and nesting",
    "from_csv": "options as `spark.read.csv`'s: no other locale than en-US",
    "from_xml": "no variants; no document types, and no schemas in XSD",
    "to_xml": "no variants",
    "arrays_zip": "two arrays of one name can't be collected as rows",
    "aes_encrypt": "executors need the package cryptography (`pip install quiver-cluster[crypto]`)",
    "aes_decrypt": "as `aes_encrypt`",
    "try_aes_decrypt": "as `aes_encrypt`",
    "xpath": "executors need the package lxml (`pip install quiver-cluster[xml]`)",
    **dict.fromkeys(
        (*sketches.__all__, *sketches_by_type.__all__), "executors need the package datasketches (`pip install quiver-cluster[sketches]`)"
    ),
    "theta_sketch_agg": "not of arrays; binaries are of UTF-8; needs `quiver-cluster[sketches]`",
    "hll_sketch_agg": "binaries are of UTF-8; needs `quiver-cluster[sketches]`",
    "collect_union": "in the order in which elements came",
    "version": "Spark's version whose meaning functions have, without a revision",
    "sentences": "sentences are cut at `.`, `!` and `?`",
    "regexp_extract": "what the kernel's expressions can't say is left to Python's, which know classes of Unicode in part",
}
"""How what exists differs."""

PREFACE = """# Every function of PySpark, and what it is here

Made by `make docs` from the code; don't edit it. **same**: the same meaning, arguments and results. **differs**: but for what is said.
**not offered**: why, and what to use; asking for it raises an error that says so.
"""


def page() -> str:
    """The page in Markdown."""
    rows, counts = [], {"same": 0, "differs": 0, "not offered": 0}
    for name in sorted(PYSPARK):
        offered = name in functions.__all__
        status = ("differs" if name in NOTES else "same") if offered else "not offered"
        counts[status] += 1
        rows.append(f"| `{name}` | {status} | {NOTES.get(name, '') if offered else reason(name)} |")
    total = f"Of {len(rows)} functions {counts['same']} are the same, {counts['differs']} differ, {counts['not offered']} are not offered."
    return "\n".join([PREFACE, total, "\n| name | | |\n|---|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
