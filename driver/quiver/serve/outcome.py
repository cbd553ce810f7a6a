"""How a job's end travels: results in pieces, or the failure as plain data that only the client opens."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Sequence
from typing import Any

from quiver.plan.model import StageUpdates
from quiver.runner.failures import JobFailure
from quiver_proto.errors import QuiverError, ResultTooLarge, from_wire, to_wire
from quiver_proto.sessions import PlanFailed, PlanResults, PlanUpdates

PIECE_BYTES = 4 << 20
"""Results are sent in messages of about this size; a single larger frame goes in one message."""
MESSAGE_LIMIT = (1 << 31) - (1 << 20)
"""No message can be larger (protobuf's limit, with room for the rest of it)."""


def pieces(frames: Sequence[bytes]) -> Iterator[PlanResults]:
    """All frames, in order. Raises ResultTooLarge for a frame that fits no message."""
    first, start, size = 0, 0, 0
    for i, frame in enumerate(frames):
        if len(frame) > MESSAGE_LIMIT:
            raise ResultTooLarge(len(frame), MESSAGE_LIMIT)
        if size and size + len(frame) > PIECE_BYTES:
            yield PlanResults(first, tuple(frames[start:i]))
            first, start, size = i, i, 0
        size += len(frame)
    if start < len(frames):
        yield PlanResults(first, tuple(frames[start:]))


def update_pieces(updates: Sequence[StageUpdates]) -> Iterator[PlanUpdates]:
    """What a job's tasks added to accumulators, in the order in which they were accepted."""
    start, size = 0, 0
    for i, one in enumerate(updates):
        size += len(one.updates)
        if size > PIECE_BYTES or i + 1 == len(updates):
            stage_ids, partitions, data = zip(*updates[start : i + 1])
            yield PlanUpdates(stage_ids, partitions, data)
            start, size = i + 1, 0


def failed(error: BaseException) -> PlanFailed:
    """A failure as a message. A task's exception stays pickled: nothing of the user's is opened here."""
    if isinstance(error, JobFailure):
        if error.failure is None:
            return failed(error.error or QuiverError("the job failed without a reason: please report this"))
        task = error.failure
        wire = task.error or ("TaskFailed", (task.exception_type, task.message, task.traceback))
        return PlanFailed(b"" if task.error else task.exception, wire[0], json.dumps(wire[1], default=str), error.note())
    if isinstance(error, QuiverError):
        code, fields = to_wire(error)
        return PlanFailed(b"", code, json.dumps(fields, default=str), "")
    return PlanFailed(b"", "QuiverError", json.dumps([f"{type(error).__name__}: {error}"]), "")


def to_exception(failure: PlanFailed) -> BaseException:
    """What to raise in the client: the user's own exception, or an error of ours, with the note that says where. Opens pickles."""
    exception = _open(failure)
    if failure.text:
        exception.add_note(failure.text)
    return exception


def _open(failure: PlanFailed) -> BaseException:
    if failure.exception:
        try:
            exception: Any = pickle.loads(failure.exception)
        except Exception:
            # Its class can't be had here: the error below tells type, text and traceback.
            exception = None
        # SystemExit and its like would end the program, perhaps with code 0, though its job failed: they are told as text.
        if isinstance(exception, Exception):
            return exception
    return from_wire(failure.error_code, tuple(json.loads(failure.error_fields or "[]")))
