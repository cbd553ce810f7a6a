"""Imports every family of functions, so that their tables are filled."""

from quiver.sql.registry import access, aggregates, generators, operators, scalars  # noqa: F401
