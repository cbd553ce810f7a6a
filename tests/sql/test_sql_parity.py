"""The page that lists every name of PySpark's DataFrames is true and current."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def parity() -> ModuleType:
    spec = importlib.util.spec_from_file_location("parity_sql", Path(__file__).parents[2] / "driver" / "parity_sql.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(parity: ModuleType) -> None:
    assert parity.page(parity.names()) == parity.PAGE.read_text(), "run `make docs`"


def test_a_name_that_nobody_accounts_for_is_a_fault(parity: ModuleType) -> None:
    with pytest.raises(parity.Unaccounted, match=r"DataFrame\.fly"):
        parity.page(["DataFrame.select", "DataFrame.fly"])


def test_notes_are_on_names_that_pyspark_has(parity: ModuleType) -> None:
    assert set(parity.NOTES) | set(parity.MISSING) <= set(parity.names())
