"""Which of the kernel's errors come from the data: a task that had one has it again, however often it is tried."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from quiver_proto.errors import ValueRefused

_OF_VALUES = re.compile(
    r"Cast error:|Divide by zero|Parser error:|Arithmetic overflow|Overflow happened on|overflow on|"
    r"too (?:large|small) to store in a Decimal|Scalar subquery returned more than one row|value: SparkValueError\("
)


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Inside, an error of the kernel's that the data are to blame for is raised as ValueRefused, which no task is retried for."""
    try:
        yield
    except Exception as error:
        text = str(error)
        if not text.startswith("DataFusion error:") or not _OF_VALUES.search(text):
            raise
        raise ValueRefused(text) from None
