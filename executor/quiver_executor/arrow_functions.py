"""Arrow's functions over whole arrays. They are made when their module is imported, so that type checkers know none of them."""

from __future__ import annotations

from typing import Any


def compute() -> Any:
    """The module pyarrow.compute, imported on first use."""
    import pyarrow.compute

    return pyarrow.compute
