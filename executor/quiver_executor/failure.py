"""From an exception in a task to a TaskFailure: what kind it is, where in the user's code, at which operator and record."""

from __future__ import annotations

import opcode
import os
import pickle
import traceback
import types
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from quiver_executor.functions import CannotOpen, Functions, codes_of
from quiver_executor.pipeline import PER_RECORD, STOPPED, StopIterationInUserCode
from quiver_executor.task import Task
from quiver_proto.errors import (
    AuthenticationFailed,
    CacheMiss,
    CheckpointUnreadable,
    DataError,
    FetchFailed,
    KernelOutOfMemory,
    QuiverError,
    QuotaExceeded,
    SharedVariableError,
    UnorderableKeys,
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
_NO_RETRY = (DataError, KernelOutOfMemory, UnstableKey, QuotaExceeded, AuthenticationFailed, SharedVariableError, CheckpointUnreadable)
MAX_TEXT = 64 << 10
"""Characters of a message, and of a traceback: a failure is logged, sent, and shown to people."""
MAX_EXCEPTION = 1 << 20
"""Bytes of the pickled exception."""
_MAX_SHOWN = MAX_TEXT // 2
"""Characters of one exception's message within a traceback."""
_MAX_NOTES = 64
_MAX_NAME = 200
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
    cache = (error.dataset_id, error.partition) if isinstance(error, CacheMiss) else None
    return TaskFailure(
        TaskId(task_id),
        kind,
        _type_name(error),
        message_of(error),
        "" if fetch or cache else user_traceback(error),
        b"" if own else _pickled(error),
        error=_wire(error),
        operator=str(site) if site is not None and site.operator else "",
        record_index=index,
        record=record,
        fetch=fetch,
        cache=cache,
    )


def _kind(error: BaseException) -> FailureKind:
    if isinstance(error, FetchFailed):
        return FailureKind.FETCH_FAILED
    if isinstance(error, CacheMiss):
        return FailureKind.CACHE_MISS
    return FailureKind.FATAL if isinstance(error, _NO_RETRY) else FailureKind.USER


def _cannot_open(error: CannotOpen, task_id: int) -> TaskFailure:
    cause, function = error.cause, error.function
    return TaskFailure(
        TaskId(task_id),
        FailureKind.FATAL,
        _type_name(cause),
        cut(f"the function {function.name} given to {function.call_site} can't be opened on the executor: {message_of(cause)}"),
        user_traceback(cause),
        _pickled(cause),
        error=_wire(cause),
        operator=str(function.call_site),
    )


def cut(text: str, limit: int = MAX_TEXT) -> str:
    """At most `limit` characters: where it has more, its head and its tail with how much was left out between them."""
    # Not through methods of a subclass of str, which str() may give.
    length = str.__len__(text)
    if length <= limit:
        text = str.__getitem__(text, slice(None))
    else:
        told = f"\n... {length:,} characters, most of them left out here ...\n"
        half = (limit - len(told)) // 2
        text = str.__getitem__(text, slice(half)) + told + str.__getitem__(text, slice(length - half, None))
    # A lone surrogate can't be sent; what is put in its place is longer.
    sendable = text if text.isascii() else text.encode(errors="backslashreplace").decode()
    return sendable if len(sendable) <= limit else cut(sendable, limit)


def message_of(error: BaseException) -> str:
    """str(error), at most MAX_TEXT characters. Raises nothing but KeyboardInterrupt; a huge argument's repr is not made."""
    try:
        if type(error).__str__ is BaseException.__str__ and len(error.args) > 1:
            text = f"({', '.join(shorten(argument, MAX_TEXT) for argument in error.args[:_MAX_NAME])})"
        elif type(error).__str__ in _SHOWS_ITS_ARGUMENT and len(error.args) == 1 and not _shows_as_is(error):
            text = shorten(error.args[0], MAX_TEXT)
        else:
            text = str(error)
        return cut(text)
    except KeyboardInterrupt:
        raise
    except BaseException as second:
        return f"<its message can't be shown: {_type_name(second)}>"


_SHOWS_ITS_ARGUMENT = (BaseException.__str__, KeyError.__str__)


def _shows_as_is(error: BaseException) -> bool:
    """Is str(error) its argument's str, and not what repr makes of it?"""
    return type(error).__str__ is BaseException.__str__ and type(error.args[0]) not in (bytes, list, tuple)


def _type_name(error: BaseException) -> str:
    return cut(type(error).__qualname__, _MAX_NAME)


def _wire(error: BaseException) -> tuple[str, tuple[Any, ...]] | None:
    """An error of ours by its code and fields; their texts are cut like messages."""
    if not isinstance(error, QuiverError):
        return None
    code, fields = to_wire(error)
    return code, tuple(cut(field) if isinstance(field, str) else field for field in fields)


def _pickled(error: BaseException) -> bytes:
    """The exception, if it comes back as what it is; else nothing.

    One beyond MAX_EXCEPTION is made anew from its type and its cut message, where that type can be made so; what else it held is lost.
    """
    try:
        try:
            return _round_trip(error)
        except _TooLarge:
            only = error.args[0] if len(error.args) == 1 else None
            return _round_trip(type(error)(cut(only) if isinstance(only, str) else message_of(error)))
    except KeyboardInterrupt:
        raise
    except BaseException:
        return b""


def _round_trip(error: BaseException) -> bytes:
    """Raises _TooLarge, and whatever pickling raises."""
    import cloudpickle

    # Pickling copies a text before it is written.
    if any(isinstance(argument, str | bytes) and len(argument) > MAX_EXCEPTION for argument in error.args):
        raise _TooLarge
    parts = _Parts()
    cloudpickle.Pickler(parts, PROTOCOL).dump(error)
    data = b"".join(parts.held)
    again = pickle.loads(data)
    return data if type(again) is type(error) or type(again).__qualname__ == type(error).__qualname__ else b""


class _TooLarge(Exception):
    """Beyond MAX_EXCEPTION."""


class _Parts:
    """What a pickler writes, up to MAX_EXCEPTION bytes: nothing larger is ever put together."""

    def __init__(self) -> None:
        self.held: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Raises _TooLarge."""
        self._size += len(memoryview(data))
        if self._size > MAX_EXCEPTION:
            raise _TooLarge
        self.held.append(bytes(data))


# ---- StopIteration ----


def _is_stop(error: BaseException) -> bool:
    return isinstance(error, StopIteration | StopIterationInUserCode) or (
        isinstance(error, RuntimeError) and isinstance(error.__cause__, StopIteration) and message_of(error) == _GENERATOR_STOPPED
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
    """The traceback as Python prints it, with its causes and contexts, but without our frames; at most MAX_TEXT characters."""
    try:
        shown = traceback.TracebackException.from_exception(error, limit=None, compact=True)
        _trim(shown, set())
        return _joined(shown.format())
    except KeyboardInterrupt:
        raise
    except BaseException as second:
        return cut(f"{_type_name(error)}: {message_of(error)} (its traceback can't be shown: {_type_name(second)})\n")


def _joined(parts: Iterable[str]) -> str:
    """All of it, cut to MAX_TEXT: of many parts, only as much is ever held."""
    half = MAX_TEXT // 2 - 100
    head, tail, dropped = "", "", 0
    for part in parts:
        tail += part
        if len(head) < half:
            room = half - len(head)
            head, tail = head + tail[:room], tail[room:]
        if len(tail) > 2 * MAX_TEXT:
            dropped += len(tail) - half
            tail = tail[-half:]
    if len(tail) > half:
        dropped += len(tail) - half
        tail = tail[-half:]
    return cut(f"{head}\n... {dropped:,} characters left out ...\n{tail}" if dropped else head + tail)


def _trim(shown: traceback.TracebackException, seen: set[int]) -> None:
    """Without our frames, and without what is huge in messages and notes: the whole is never put together."""
    pending = [shown]
    while pending:
        one = pending.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        one.stack = traceback.StackSummary.from_list([frame for frame in one.stack if not is_ours(frame.filename)])
        for name in ("_str", "text", "msg"):
            told = vars(one).get(name)
            if isinstance(told, str):
                vars(one)[name] = cut(told, _MAX_SHOWN)
        notes = vars(one).get("__notes__")
        if isinstance(notes, list | tuple):
            vars(one)["__notes__"] = [
                cut(note, _MAX_SHOWN) if isinstance(note, str) else shorten(note, _MAX_SHOWN) for note in notes[:_MAX_NOTES]
            ]
        elif notes is not None:
            vars(one)["__notes__"] = [shorten(notes, _MAX_SHOWN)]
        pending += [other for other in (one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())) if other is not None]


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
    if isinstance(error, UnorderableKeys):
        return None  # Sorting is no function of an operator: elimination would blame the one that comes after it.
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
    named = _called_wrongly(error, functions)
    if named is not None:
        return named
    if task.blame is not None:
        return task.blame[0]
    for trace in traces:
        if trace.tb_frame.f_code in PER_RECORD and not _is_pulling(trace):
            site: CallSite = trace.tb_frame.f_locals["site"]
            return site
    candidates = set(silent)
    return candidates.pop() if len(candidates) == 1 else None


def _called_wrongly(error: BaseException, functions: Functions) -> CallSite | None:
    """The operator whose function takes another number of arguments. That is raised in the caller, which is ours; it names the function."""
    if not isinstance(error, TypeError) or "argument" not in message_of(error):
        return None
    name = message_of(error).partition("()")[0]
    sites = {
        operator.function.call_site
        for operator, function in zip(functions.operators, functions.sample)
        if any(code.co_qualname == name for code in codes_of(function))
    }
    return sites.pop() if len(sites) == 1 else None


def _is_pulling(trace: types.TracebackType) -> bool:
    """Was the frame waiting for its next record, so that what failed is further up the pipeline?"""
    return trace.tb_frame.f_code.co_code[trace.tb_lasti] == _FOR_ITER


def _record(task: Task) -> tuple[int, str]:
    current = task.cursor.current()
    return (-1, "") if current is None else (current[0], shorten(current[1]))
