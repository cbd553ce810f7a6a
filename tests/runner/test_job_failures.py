import pickle

import pytest

from quiver.runner.failures import JobFailure
from quiver.serve import outcome
from quiver_proto.errors import PathNotFound, QuiverError, TaskFailed, to_wire
from quiver_proto.ids import TaskId
from quiver_proto.messages import FailureKind, TaskFailure


def failure(**fields: object) -> TaskFailure:
    given = {
        "task_id": TaskId(1),
        "kind": FailureKind.USER,
        "exception_type": "ValueError",
        "message": "bad",
        "traceback": "  File user.py\n",
    }
    return TaskFailure(**{**given, **fields})


def test_the_users_exception_keeps_its_type_and_gains_a_note() -> None:
    raised = JobFailure(
        failure=failure(exception=pickle.dumps(ValueError("bad")), operator="map at app.py:3", record_index=17, record="'x'"),
        partition=2,
        attempts=4,
    ).to_exception()
    assert type(raised) is ValueError
    assert raised.args == ("bad",)
    (note,) = raised.__notes__
    assert "map at app.py:3, partition 2, record 17 (4 attempts)" in note
    assert "Record: 'x'" in note
    assert "File user.py" in note


def test_an_exception_that_does_not_unpickle_is_told_in_words() -> None:
    raised = JobFailure(failure=failure(exception=b"not a pickle"), partition=0).to_exception()
    assert isinstance(raised, TaskFailed)
    assert "ValueError: bad" in str(raised)


def test_our_own_errors_keep_their_type() -> None:
    wire = to_wire(PathNotFound("/no", "/no*"))
    raised = JobFailure(failure=failure(kind=FailureKind.FATAL, error=wire)).to_exception()
    assert isinstance(raised, PathNotFound)
    assert isinstance(raised, FileNotFoundError)


def test_something_pickled_that_is_no_exception_is_not_raised() -> None:
    raised = JobFailure(failure=failure(exception=pickle.dumps("text"))).to_exception()
    assert isinstance(raised, QuiverError)


@pytest.mark.parametrize("leaving", [SystemExit(0), KeyboardInterrupt(), GeneratorExit()])
def test_what_would_end_the_program_is_told_in_words(leaving: BaseException) -> None:
    failed = JobFailure(failure=failure(exception_type=type(leaving).__name__, message="0", exception=pickle.dumps(leaving)), partition=1)
    for raised in (failed.to_exception(), outcome.to_exception(outcome.failed(failed))):
        assert isinstance(raised, TaskFailed)
        assert f"{type(leaving).__name__}: 0" in str(raised)
        assert "partition 1" in raised.__notes__[0]
