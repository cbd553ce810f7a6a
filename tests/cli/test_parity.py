"""The page that lists every name of PySpark's core is true and current."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType

import pytest

import quiver
from quiver.errors import NeedsJVM, NotOffered

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def parity() -> ModuleType:
    spec = importlib.util.spec_from_file_location("parity", ROOT / "driver" / "parity.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks for its module there.
    sys.modules["parity"] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(parity: ModuleType) -> None:
    assert parity.page(parity.entries(parity.names())) == parity.PAGE.read_text(), "run `make docs`"


def test_a_name_that_nobody_accounts_for_is_a_fault(parity: ModuleType) -> None:
    with pytest.raises(parity.Unaccounted, match=r"RDD\.fly, pyspark\.Plane"):
        parity.entries(["RDD.map", "RDD.fly", "pyspark.Plane", "pyspark.RDD"])


def test_what_a_name_is_comes_from_the_code(parity: ModuleType) -> None:
    given = {
        entry.name: entry
        for entry in parity.entries(["RDD.map", "RDD.sumApprox", "RDD.saveAsHadoopFile", "StatCounter.n", "SparkJobInfo.jobId"])
    }
    assert [entry.status for entry in given.values()] == ["same", "differs", "not offered", "same", "same"]
    assert given["RDD.sumApprox"].note.startswith("what is not done by then is cancelled")
    assert "NeedsJVM" in given["RDD.saveAsHadoopFile"].note


def test_what_only_raises_says_so(parity: ModuleType) -> None:
    """A method that is not offered raises the typed error, and one that raises it is said not to be offered."""
    for entry in parity.entries(parity.names()):
        owner, _, member = entry.name.partition(".")
        if owner in ("RDD", "SparkContext") and hasattr(getattr(quiver, owner), member):
            code = inspect.getattr_static(getattr(quiver, owner), member)
            names = getattr(getattr(code, "__func__", code), "__code__", None)
            raises = names is not None and {NeedsJVM.__name__, NotOffered.__name__} & set(names.co_names)
            assert bool(raises) == (entry.status == parity.NOT_HERE), entry


def test_no_reason_is_given_for_what_exists(parity: ModuleType) -> None:
    listed = parity.names()
    for name in parity.NOT_OFFERED:
        if "." in name:
            assert name in listed
            assert [entry.status for entry in parity.entries([name])] == [parity.NOT_HERE], f"{name} exists: take it out of NOT_OFFERED"
    assert set(parity.NOTES) <= set(listed)
