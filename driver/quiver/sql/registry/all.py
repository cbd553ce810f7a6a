"""Imports every family of functions, so that their tables are filled."""

from quiver.sql.registry import (  # noqa: F401
    access,
    aggregates,
    binaries,
    collections,
    conditions,
    conversions,
    datetime,
    documents,
    drawing,
    generators,
    hashes,
    intervals,
    lambdas,
    math,
    operators,
    ordered_sets,
    sketches,
    strings,
    times_of_day,
    windows,
)
