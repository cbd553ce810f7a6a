"""Every error of a job can be caught as PySparkException, and as what it is."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from quiver.sql.error_kinds import made_spark
from quiver.sql.errors import PySparkException
from quiver.sql.kernel_errors import spark_errors
from quiver_proto import errors
from quiver_proto.errors import QuiverError, from_wire, to_wire


def all_kinds(kind: type[QuiverError]) -> set[type[QuiverError]]:
    return {kind}.union(*(all_kinds(below) for below in kind.__subclasses__()))


def test_any_kind_can_be_one() -> None:
    kinds = [
        kind
        for kind in all_kinds(QuiverError)
        if kind.__module__ == errors.__name__ and kind is QuiverError._registry.get(kind.__name__, QuiverError)
    ]
    assert len(kinds) > 50
    for kind in kinds:
        error: Any = (OSError if issubclass(kind, OSError) else BaseException).__new__(kind)
        QuiverError.__init__(error, "what", "field")
        made_spark(error)
        made_spark(error)
        assert isinstance(error, kind)
        assert isinstance(error, PySparkException)
        assert (str(error), error.getCondition(), error.getSqlState(), error.getMessageParameters(), error.getQueryContext()) == (
            "what",
            None,
            None,
            {},
            [],
        )
        assert to_wire(error) == (kind.__name__, ("field",))
        assert QuiverError._registry.get(kind.__name__, kind) is kind


def test_queries_raise_them() -> None:
    for given in (
        errors.PathUnwritable("/x", "no"),
        errors.DiskFull("/x", 0, "full", True),
        errors.UnpicklableClosure("map", "x.py:1", "f", "no"),
    ):
        with pytest.raises(PySparkException) as caught, spark_errors():
            raise given
        assert caught.value is given
        back = pickle.loads(pickle.dumps(given))
        assert (type(back), str(back)) == (type(from_wire(*to_wire(given))), str(given))
    with pytest.raises(KeyError), spark_errors():
        raise KeyError("the user's own")
