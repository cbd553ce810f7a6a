"""Every example in a docstring is true, on each master."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

import quiver
from quiver import RDD, Context

MODULES = [f"quiver.{module.name}" for module in pkgutil.iter_modules(quiver.__path__)]
MODULES += [f"quiver_proto.{name}" for name in ("functions", "profiling", "resource", "statistics", "storage", "task_context")]
MODULES += ["quiver_proto.accumulators", "quiver_proto.broadcast"]
"""Everything that users import from, and what that takes from below."""


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for module in MODULES for test in finder.find(importlib.import_module(module)) if test.examples]
    return list({test.name: test for test in found}.values())


@pytest.mark.parametrize("test", examples(), ids=lambda test: test.name)
def test_example(test: doctest.DocTest, sc: Context) -> None:
    report: list[str] = []
    test.globs = {**test.globs, "sc": sc}
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append, clear_globs=False)
    assert result.failed == 0, "".join(report)


def test_every_public_method_is_described() -> None:
    for kind in (RDD, Context):
        for name, member in inspect.getmembers(kind):
            if not name.startswith("_") and name != "stop":
                assert inspect.getdoc(member), f"{kind.__name__}.{name} has no docstring"
