"""Every example in a docstring is true; on each master where it isn't about values only."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from quiver.sql import Session, functions, types

MODULES = (
    "quiver.sql.datasource",
    "quiver.sql.dataframe_actions",
    "quiver.sql.catalog",
    "quiver.sql.discovery",
    "quiver.sql.session_conf",
    "quiver.sql.inference",
    "quiver.sql.reader",
    "quiver.sql.verifying",
    "quiver.sql.dataframe_columns",
    "quiver.sql.dataframe_combining",
    "quiver.sql.dataframe_keeping",
    "quiver.sql.observation",
    "quiver.sql.tvf",
    "quiver.sql.dataframe_core",
    "quiver.sql.dataframe_python",
    "quiver.sql.dataframe_rows",
    "quiver.sql.python.cogrouped",
    "quiver.sql.python.registration",
    "quiver.sql.python.table_functions",
    "quiver.sql.python.user_defined",
    *(f"quiver.sql.functions.{family.name}" for family in pkgutil.iter_modules(functions.__path__)),
    "quiver.sql.nulls",
    "quiver.sql.statistics",
    "quiver.sql.column",
    "quiver.sql.column_operators",
    "quiver.sql.dataframe",
    "quiver.sql.grouped",
    "quiver.sql.row",
    "quiver.sql.showing",
    "quiver.sql.session",
    "quiver.sql.types",
    "quiver.sql.types.atomic",
    "quiver.sql.types.base",
    "quiver.sql.types.nested",
    "quiver.sql.window",
    "quiver.sql.writer",
    "quiver.sql.writer_v2",
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
@pytest.mark.parametrize("test", [test for test in examples() if not test.name.startswith(OF_VALUES)], ids=lambda test: test.name)
def test_example_in_slots(test: doctest.DocTest, spark: Session) -> None:
    check(test, spark)
