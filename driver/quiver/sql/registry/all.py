"""Imports every family of functions, so that their tables are filled."""

from quiver.sql.registry import aggregates, operators, scalars  # noqa: F401
