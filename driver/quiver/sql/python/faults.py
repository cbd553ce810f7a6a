"""What users' functions do wrong, as errors that keep their type on the way through the kernel.

The kernel tells of an exception by its text only. So what is raised in one of its calls is kept here, under a number that the text has, and
whoever ran the kernel in this process takes it back.
"""

from __future__ import annotations

import itertools
import os
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, Final

from quiver.sql.errors import PythonException
from quiver_proto.kernel_faults import keep
from quiver_proto.shorten import shorten
from quiver_proto.task_context import TaskContext

_HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
_numbers = itertools.count(1)
_MOST = 16 << 10
RAISED: Final = (Exception, SystemExit)
"""What users' functions raise; the program does not end with a function's sys.exit()."""


def raised(name: str, error: BaseException, arguments: str = "", row: int | None = None) -> PythonException:
    """A user's function raised. `row`: how many rows it was given before in its task; None: it was not given single rows."""
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, StopIteration):
        what = "StopIteration, which would end the data; return None instead, or raise another exception"
    return PythonException(f"`{name}` raised {what}{_place(row, arguments)}\n\n{user_traceback(error)}", "PYTHON_EXCEPTION")


def misfit(
    name: str, got: str, wanted: str, arguments: str = "", row: int | None = None, condition: str = "UDF_RETURN_TYPE"
) -> PythonException:
    """A user's function gave what its type does not allow."""
    return PythonException(f"`{name}` returned {got}; expected {wanted}{_place(row, arguments)}", condition)


def _place(row: int | None, arguments: str) -> str:
    context = TaskContext.get()
    where = "" if context is None else f" of partition {context.partitionId()}"
    at = f", in row {row}{where}" if row is not None else where and f", in{where.removeprefix(' of')}"
    return f"{at}{f', for arguments {arguments}' if arguments else ''}."


def shown(names: Sequence[str | None], values: Sequence[Any]) -> str:
    """Arguments for people: `(1, flag=True)`."""
    return f"({', '.join((f'{name}=' if name else '') + shorten(value) for name, value in zip(names, values))})"


def user_traceback(error: BaseException) -> str:
    """The traceback from the user's first frame on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE):
        trace = trace.tb_next
    text = "".join(traceback.format_exception(type(error), error, trace))
    return text if len(text) <= _MOST else f"{text[: _MOST // 2]}\n…\n{text[-_MOST // 2 :]}"


def through_kernel(error: BaseException) -> BaseException:
    """What to raise inside the kernel, so that `error` comes out of it."""
    return RuntimeError(keep(error))


class Safe:
    """Batches for a user's function. What goes wrong while they are made is not the function's fault."""

    def __init__(self, batches: Iterator[Any]) -> None:
        self._batches = batches

    def __iter__(self) -> Safe:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._batches)
        except StopIteration:
            raise
        except Exception as error:
            raise Below(error) from error


class Below(Exception):
    """What went wrong below a user's function."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error
