"""Write docs/parity-rdd.md: every name of PySpark's core, and what it is here. `python driver/parity.py` (`make docs`).

Names come from pyspark-names.txt. Whether one exists is looked up in the code; how it differs stands in its docstring, in a paragraph
that begins "Differs from PySpark:". A docstring that begins "Not offered" is a name that only raises an error. What does not exist
must be in NOT_OFFERED: a name that is neither is a fault, and the page is not written.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PAGE = FOLDER.parent / "docs" / "parity-rdd.md"
NAMES = FOLDER / "pyspark-names.txt"
SAME, DIFFERS, NOT_HERE = "same", "differs", "not offered"

_MARK = "Differs from PySpark:"

ELSEWHERE = {
    "BoundedFloat": "quiver.rdd",
    "Partitioner": "quiver.plan.partitioning:Partitioning",
    "PStatsParam": "quiver_proto.profiling",
    "ProfilerCollector": "quiver.profiler",
    "ExecutorResourceRequest": "quiver.resource",
    "ExecutorResourceRequests": "quiver.resource",
    "ResourceInformation": "quiver.resource",
    "ResourceProfile": "quiver.resource",
    "ResourceProfileBuilder": "quiver.resource",
    "TaskResourceRequest": "quiver.resource",
    "TaskResourceRequests": "quiver.resource",
}
"""Classes that `quiver` itself does not export: their module, and their name there where it is another."""

_UDF = "it measures UDFs of DataFrames, which Quiver's profiles don't"
_COLLECTOR = "it is PySpark's own bookkeeping; use `show_profiles` and `dump_profiles`"
NOT_OFFERED = {
    "pyspark.CPickleSerializer": "records travel in frames of Quiver's own, whatever they are; nothing has to be chosen",
    "pyspark.MarshalSerializer": "records travel in frames of Quiver's own, whatever they are; nothing has to be chosen",
    "SparkContext.serializer": "records travel in frames of Quiver's own, whatever they are; nothing has to be chosen",
    "TaskContext.from_json": "it is how Spark Connect hands a context to a worker; use `TaskContext.get()`",
    "BarrierTaskContext.from_json": "it is how Spark Connect hands a context to a worker; use `BarrierTaskContext.get()`",
    "ResultIterable.index": "it is PySpark's own state of an iteration; use `iter()`, any number of times",
    "ResultIterable.maxindex": "it is PySpark's own state of an iteration; use `len()`",
    "StatCounter.maximum": "it is the function that PySpark chose to compare with; use `max()`",
    "StatCounter.minimum": "it is the function that PySpark chose to compare with; use `min()`",
    "StatCounter.sqrt": "it is the function that PySpark chose for roots; use `stdev()`",
    "MemUsageParam": "it belongs to the memory profiler of UDFs",
    "MemoryProfiler": _UDF,
    "UDFBasicProfiler": _UDF,
    "ProfilerCollector": _COLLECTOR,
}
"""What does not exist: why, and what to use. A class stands for all its members."""

NOTES = {
    "RDD.toDebugString": "datasets have Quiver's names, not those of Spark's Scala classes",
    "RDD.sortByKey": "one job samples keys instead of two; bounds between partitions may lie elsewhere",
    "RDD.sortBy": "one job samples keys instead of two; bounds between partitions may lie elsewhere",
    "RDD.repartition": "records are dealt one by one, not in batches of ten; which partition gets which is not promised in either",
    "RDD.top": "an RDD without partitions gives an empty list; PySpark raises ValueError",
    "RDD.countByKey": "an RDD without partitions gives an empty dictionary; PySpark raises ValueError",
    "RDD.countByValue": "an RDD without partitions gives an empty dictionary; PySpark raises ValueError",
    "RDD.stats": "an RDD without partitions gives an empty StatCounter; PySpark raises ValueError",
    "SparkContext.parallelize": "fewer than one slice raises ValueError at once; PySpark raises ZeroDivisionError, or the job fails",
    "SparkContext.union": "no RDDs at all raise ValueError; PySpark raises IndexError",
    "SparkContext.textFile": "a line that is not UTF-8 raises UndecodableLine; Spark puts U+FFFD in its place. `.zst` files are read too",
    "SparkContext.runJob": "a partition that is not there raises ValueError; PySpark raises Py4JJavaError",
    "SparkContext.setLogLevel": "sets the level of Quiver's own loggers in this process; another word raises BadSetting",
    "SparkConf.set": "a value that can't be meant raises BadSetting at once; Spark finds out when the setting is used",
}
"""Differences too small for a docstring."""

PREFACE = """# Every name of PySpark's core, and what it is here

Made by `make docs` from the code and from the list of names in `driver/pyspark-names.txt`; don't edit it.

**same**: the same meaning, arguments, results and order guarantees. **differs**: the same name for the same purpose, but for what is
said. **not offered**: why, and what to use instead. `SparkContext` is `quiver.Context` and `SparkConf` is `quiver.Conf`, under both names.

What holds everywhere, and is not repeated below:

* A task's exception is raised as itself, with the user's traceback and a note that names operator, partition and record. PySpark raises
  `Py4JJavaError` with a text.
* Errors of Quiver's own are in `quiver.errors`; each is also of the built-in type that PySpark raises, where it raises one.
* What can't be meant (no function, fewer partitions than one, an unknown codec) is refused when the operator is called, not when a job
  meets it.
* `repr()` of RDDs, stages and settings shows Quiver's own names.
* Text keys are hashed with a seed that differs from run to run, so that they land in other partitions. `PYTHONHASHSEED=0`, in the
  driver's environment or as `spark.executorEnv.PYTHONHASHSEED`, puts them where PySpark does.
* What is partitioned alike is joined and aggregated in its place also where PySpark shuffles one side again.
"""


class Unaccounted(Exception):
    """Names that neither exist nor are in NOT_OFFERED."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name: what it is here, and the note that goes with it."""

    name: str
    status: str
    note: str


def names() -> list[str]:
    """PySpark's, `Class.member` or `pyspark.name`."""
    return [line for line in NAMES.read_text().splitlines() if line and not line.startswith("#")]


def entries(given: Iterable[str]) -> list[Entry]:
    """What each name is here. Raises Unaccounted."""
    found = [(name, _entry(name)) for name in given]
    lost = [name for name, entry in found if entry is None]
    if lost:
        raise Unaccounted(f"neither in the code nor in NOT_OFFERED: {', '.join(lost)}")
    return [entry for _, entry in found if entry is not None]


def page(given: list[Entry]) -> str:
    """The page in Markdown."""
    counts = {status: sum(entry.status == status for entry in given) for status in (SAME, DIFFERS, NOT_HERE)}
    parts = [PREFACE, f"Of {len(given)} names {counts[SAME]} are the same, {counts[DIFFERS]} differ, {counts[NOT_HERE]} are not offered."]
    for group in dict.fromkeys(entry.name.partition(".")[0] for entry in given):
        difference = "" if group == "pyspark" else _paragraph(inspect.getdoc(_class(group)) or "")
        parts.append(f"\n## {group}\n\n" + (f"Differs: {difference}.\n\n" if difference else "") + "| name | | |\n|---|---|---|")
        for entry in given:
            owner, _, member = entry.name.partition(".")
            if owner == group:
                parts.append(f"| `{member}` | {entry.status} | {entry.note.replace('|', chr(92) + '|')} |")
    return "\n".join(parts) + "\n"


def _entry(name: str) -> Entry | None:
    owner, _, member = name.partition(".")
    why = NOT_OFFERED.get(name) or NOT_OFFERED.get(owner) or (NOT_OFFERED.get(member) if owner == "pyspark" else None)
    if owner == "pyspark":
        target = _class(member)
        if target is None:
            return Entry(name, NOT_HERE, why) if why else None
        return _judged(name, target, "")
    kind = _class(owner)
    if kind is None or not _has(kind, member):
        return Entry(name, NOT_HERE, why) if why else None
    return _judged(name, inspect.getattr_static(kind, member, None), NOTES.get(name, ""))


def _judged(name: str, target: object, note: str) -> Entry:
    function = target.fget if isinstance(target, property) else getattr(target, "__func__", target)
    text = " ".join((inspect.getdoc(function) or "").split()) if callable(function) or inspect.isclass(function) else ""
    if text.startswith("Not offered"):
        told = text.partition(": ")[2].partition(" >>>")[0]
        return Entry(name, NOT_HERE, told)
    difference = _paragraph(inspect.getdoc(function) or "") if text else ""
    told = "; ".join(filter(None, (difference, note)))
    return Entry(name, DIFFERS if told else SAME, told)


def _paragraph(text: str) -> str:
    """What stands after the mark, up to the next empty line."""
    _, found, rest = text.partition(_MARK)
    return " ".join(rest.partition("\n\n")[0].split()).rstrip(".") if found else ""


def _class(name: str) -> type | None:
    import quiver

    if name in ELSEWHERE:
        module, _, other = ELSEWHERE[name].partition(":")
        try:
            found = getattr(importlib.import_module(module), other or name, None)
        except ImportError:
            return None
    else:
        found = getattr(quiver, name, None)
    return found


def _has(kind: type, member: str) -> bool:
    """As an attribute of the class, or of its instances: annotated, in __slots__, or set on self."""
    if hasattr(kind, member):
        return True
    return any(member in getattr(base, "__annotations__", {}) or member in _set_on_self(base) for base in kind.__mro__[:-1])


def _set_on_self(kind: type) -> set[str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError):
        return set()
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }


def main() -> None:
    try:
        text = page(entries(names()))
    except Unaccounted as error:
        sys.exit(str(error))
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
