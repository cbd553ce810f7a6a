"""Every example in a docstring is true; on each master where it isn't about values only."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from quiver import sql
from quiver.sql import Session, functions, types

MODULES = (
    *(module.name for module in pkgutil.walk_packages(sql.__path__, "quiver.sql.")),
    "quiver_executor.value_texts",
    "quiver_proto.partition_paths",
    "quiver_proto.secret_texts",
    "quiver_proto.store_options",
    "quiver_proto.text_formats.csv_types",
    "quiver_proto.text_formats.json_types",
)

OF_VALUES = (
    "quiver.sql.functions.",
    "quiver.sql.column.",
    "quiver.sql.column_operators.",
    "quiver.sql.row.",
    "quiver.sql.showing.",
    "quiver.sql.types.",
    "quiver.sql.window.",
)
"""What these show is the same wherever tasks run; that functions reach slots is shown by test_sql_functions and test_user_functions."""


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for module in MODULES for test in finder.find(importlib.import_module(module)) if test.examples]
    return list({test.name: test for test in found}.values())


def reaches_slots(test: doctest.DocTest) -> bool:
    return not test.name.startswith(OF_VALUES) and any(name in (test.docstring or "") for name in ("spark", "df"))


def check(test: doctest.DocTest, spark: Session) -> None:
    report: list[str] = []
    test.globs = {**test.globs, "spark": spark, "F": functions, "t": types}
    result = doctest.DocTestRunner().run(test, out=report.append, clear_globs=False)
    assert result.failed == 0, "".join(report)


# Not one test for pairs of a master and an example: each pair would have a session of its own.


@pytest.mark.parametrize("spark", ["inline"], indirect=True)
@pytest.mark.parametrize("test", examples(), ids=lambda test: test.name)
def test_example(test: doctest.DocTest, spark: Session) -> None:
    check(test, spark)


@pytest.mark.parametrize("spark", ["local[2]"], indirect=True)
@pytest.mark.parametrize("test", [test for test in examples() if reaches_slots(test)], ids=lambda test: test.name)
def test_example_in_slots(test: doctest.DocTest, spark: Session) -> None:
    check(test, spark)
