"""Packages that only some sources need."""

from __future__ import annotations

import importlib
from typing import Any

from quiver_proto.errors import PackageMissing


def needed(module: str, package: str, extra: str, purpose: str) -> Any:
    """The module. Raises PackageMissing, which names what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as problem:
        raise PackageMissing(purpose, package, extra) from problem
