"""Every example in a docstring is true, on each master."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

import quiver
from quiver import Context

MODULES = [f"quiver.{module.name}" for module in pkgutil.iter_modules(quiver.__path__)]
MODULES += [
    f"quiver_proto.{name}" for name in ("functions", "profiling", "resource", "shared_files", "statistics", "storage", "task_context")
]
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


def undescribed(kind: type) -> list[str]:
    """Public names that `kind` has from us, and that lack a docstring with an example."""
    missing = []
    for name, _ in inspect.getmembers(kind):
        member = inspect.getattr_static(kind, name)
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if name.startswith("_") or not inspect.isfunction(function) or not function.__module__.startswith("quiver"):
            continue
        if ">>>" not in (inspect.getdoc(function) or ""):
            missing.append(name)
    return missing


@pytest.mark.parametrize("name", [name for name in quiver.__all__ if inspect.isclass(getattr(quiver, name))])
def test_every_public_name_is_described_with_an_example(name: str) -> None:
    kind = getattr(quiver, name)
    if not issubclass(kind, BaseException):
        assert inspect.getdoc(kind)
        assert undescribed(kind) == []


def test_a_name_without_an_example_is_found() -> None:
    class Vague:
        def told(self) -> None:
            """Tells nothing."""

        @property
        def shown(self) -> int:
            """Is shown.

            >>> 1
            1
            """
            return 1

    Vague.told.__module__ = "quiver.vague"
    assert undescribed(Vague) == ["told"]
