"""From an exception in a task to a TaskFailure: what kind it is, where in the user's code, at which operator and record."""

from __future__ import annotations

import opcode
import os
import traceback
import types
from collections.abc import Iterator, Sequence

from quiver_executor.functions import CannotOpen, Functions, codes_of
from quiver_executor.pipeline import PER_RECORD, STOPPED, StopIterationInUserCode
from quiver_executor.task import Task
from quiver_proto.errors import (
    AuthenticationFailed,
    DataError,
    FetchFailed,
    QuiverError,
    QuotaExceeded,
    UnstableKey,
    to_wire,
)
from quiver_proto.frames import PROTOCOL
from quiver_proto.ids import TaskId
from quiver_proto.messages import FailureKind, TaskFailure
from quiver_proto.ops import CallSite
from quiver_proto.shorten import shorten

_OURS = tuple(
    os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), *parts, "")
    for parts in (
        ("executor", "quiver_executor"),
        ("proto", "quiver_proto"),
        ("driver", "quiver"),
        ("quiver_executor",),
        ("quiver_proto",),
        ("quiver",),
    )
)
"""Where our code lies, in a checkout and where it is installed."""
_NO_RETRY = (DataError, UnstableKey, QuotaExceeded, AuthenticationFailed)
_MAX_MESSAGE = 64 << 10
_GENERATOR_STOPPED = "generator raised StopIteration"
_FOR_ITER = opcode.opmap["FOR_ITER"]


def task_failure(error: BaseException, task_id: int, functions: Functions | None = None, task: Task | None = None) -> TaskFailure:
    """What to report. Never raises. Slot, start and metrics are the caller's to fill in."""
    if isinstance(error, CannotOpen):
        return _cannot_open(error, task_id)
    stopped = _is_stop(error)
    site = _operator_of(error, functions, task) if functions is not None and task is not None else None
    if stopped:
        if site is None and functions is not None:
            site = _only_candidate(functions)
        error = _with_place(RuntimeError(STOPPED), error)
    kind = _kind(error)
    index, record = _record(task) if task is not None and kind is FailureKind.USER else (-1, "")
    if task is not None and task.blame is not None and kind is FailureKind.USER:
        # Merged later than it was read: the pair is known, not which input record it came from.
        index, record = -1, shorten(task.blame[1])
    own = isinstance(error, QuiverError)
    fetch = (error.shuffle_id, error.map_index, error.task_id, error.node_id) if isinstance(error, FetchFailed) else None
    return TaskFailure(
        TaskId(task_id),
        kind,
        type(error).__qualname__,
        _message(error),
        "" if fetch else user_traceback(error),
        b"" if own else _pickled(error),
        error=to_wire(error) if isinstance(error, QuiverError) else None,
        operator=str(site) if site is not None and site.operator else "",
        record_index=index,
        record=record,
        fetch=fetch,
    )


def _kind(error: BaseException) -> FailureKind:
    if isinstance(error, FetchFailed):
        return FailureKind.FETCH_FAILED
    return FailureKind.FATAL if isinstance(error, _NO_RETRY) else FailureKind.USER


def _cannot_open(error: CannotOpen, task_id: int) -> TaskFailure:
    cause, function = error.cause, error.function
    return TaskFailure(
        TaskId(task_id),
        FailureKind.FATAL,
        type(cause).__qualname__,
        f"the function {function.name} given to {function.call_site} can't be opened on the executor: {_message(cause)}",
        user_traceback(cause),
        _pickled(cause),
        error=to_wire(cause) if isinstance(cause, QuiverError) else None,
        operator=str(function.call_site),
    )


def _message(error: BaseException) -> str:
    try:
        return str(error)[:_MAX_MESSAGE]
    except Exception as second:
        return f"<its message can't be shown: {type(second).__qualname__}>"


def _pickled(error: BaseException) -> bytes:
    """The exception, if it comes back as what it is; else nothing."""
    try:
        import pickle

        import cloudpickle

        data: bytes = cloudpickle.dumps(error, PROTOCOL)
        again = pickle.loads(data)
    except Exception:
        return b""
    return data if type(again) is type(error) or type(again).__qualname__ == type(error).__qualname__ else b""


# ---- StopIteration ----


def _is_stop(error: BaseException) -> bool:
    return isinstance(error, StopIteration | StopIterationInUserCode) or (
        isinstance(error, RuntimeError) and isinstance(error.__cause__, StopIteration) and str(error) == _GENERATOR_STOPPED
    )


def _with_place(new: BaseException, old: BaseException) -> BaseException:
    new.__traceback__ = old.__traceback__
    stop = old if isinstance(old, StopIteration) else old.__cause__
    new.__cause__ = stop if isinstance(stop, StopIteration) and stop is not new else None
    return new


def _only_candidate(functions: Functions) -> CallSite | None:
    """The one operator whose code could have raised StopIteration, where there is only one."""
    suspects = {
        operator.function.call_site
        for operator, function in zip(functions.operators, functions.sample)
        if _can_stop(list(codes_of(function)))
    }
    return suspects.pop() if len(suspects) == 1 else None


def _can_stop(codes: Sequence[types.CodeType]) -> bool:
    return not codes or any({"next", "__next__", "StopIteration", "send"} & set(code.co_names) for code in codes)


# ---- where ----


def is_ours(filename: str) -> bool:
    """Is this one of our own source files?"""
    return filename.startswith(_OURS)


def user_traceback(error: BaseException) -> str:
    """The traceback as Python prints it, with its causes and contexts, but only the frames that are not ours."""
    try:
        shown = traceback.TracebackException.from_exception(error, limit=None, compact=True)
        _trim(shown, set())
        return "".join(shown.format())
    except Exception as second:
        return f"{type(error).__qualname__}: {_message(error)} (its traceback can't be shown: {type(second).__qualname__})\n"


def _trim(shown: traceback.TracebackException, seen: set[int]) -> None:
    if id(shown) in seen:
        return
    seen.add(id(shown))
    shown.stack = traceback.StackSummary.from_list([frame for frame in shown.stack if not is_ours(frame.filename)])
    for other in (shown.__cause__, shown.__context__, *(getattr(shown, "exceptions", None) or ())):
        if other is not None:
            _trim(other, seen)


def _frames(error: BaseException) -> Iterator[types.TracebackType]:
    """Innermost first."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    return reversed(frames)


def _operator_of(error: BaseException, functions: Functions, task: Task) -> CallSite | None:
    """By the code of the operators' functions in the traceback; where there is none of it, by elimination."""
    owners: dict[types.CodeType, CallSite] = {}
    silent: list[CallSite] = []
    for operator, function in zip(functions.operators, functions.sample):
        codes = [code for code in codes_of(function) if not is_ours(code.co_filename)]
        for code in codes:
            owners.setdefault(code, operator.function.call_site)
        if not codes or operator.is_flat:
            silent.append(operator.function.call_site)
    traces = list(_frames(error))
    for source in (error, error.__cause__):
        for trace in _frames(source) if source is not None else ():
            owner = owners.get(trace.tb_frame.f_code)
            if owner is not None:
                return owner
    if task.blame is not None:
        return task.blame[0]
    for trace in traces:
        if trace.tb_frame.f_code in PER_RECORD and not _is_pulling(trace):
            site: CallSite = trace.tb_frame.f_locals["site"]
            return site
    candidates = set(silent)
    return candidates.pop() if len(candidates) == 1 else None


def _is_pulling(trace: types.TracebackType) -> bool:
    """Was the frame waiting for its next record, so that what failed is further up the pipeline?"""
    return trace.tb_frame.f_code.co_code[trace.tb_lasti] == _FOR_ITER


def _record(task: Task) -> tuple[int, str]:
    current = task.cursor.current()
    return (-1, "") if current is None else (current[0], shorten(current[1]))
