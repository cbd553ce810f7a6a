"""Which of the kernel's errors come from the data: a task that had one has it again, however often it is tried."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Iterator

from quiver_proto.errors import KernelOutOfMemory, ValueRefused
from quiver_proto.kernel_faults import PANICKED, UNTOLD

_OF_VALUES = re.compile(
    r"Cast error:|Divide by zero|Parser error:|Arithmetic overflow|Overflow happened on|overflow on|"
    r"too (?:large|small) to store in a Decimal|Scalar subquery returned more than one row|value: SparkValueError\("
)
_TOLD = re.compile(r"value: SparkValueError\(('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")", re.DOTALL)
"""The text with which one of our own functions refused a value, as Python's repr."""
_OF_MEMORY = re.compile(
    r"Resources exhausted:.*?Failed to allocate additional ([\d.]+ \w+) for (\w+)(?:.*?pool_size: ([\d.]+ \w+))?", re.DOTALL
)


def literal(text: str) -> str:
    """A text from its repr."""
    try:
        return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text[1:-1]


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Inside, an error of the kernel's that the data are to blame for is raised as one that no task is retried for.

    That is ValueRefused for what their values are, and KernelOutOfMemory for how many there are.
    """
    try:
        yield
    except Exception as error:
        text = str(error)
        if PANICKED in text and ("overflow" in text or UNTOLD in text):
            # Of a batch, whose strings' bytes and lists' elements are counted with 31 bits. What is not told is most often this, too.
            raise KernelOutOfMemory(f"A batch ({text})", "more bytes or elements", "2 GiB") from None
        if text.startswith("DataFusion error:") and "Resources exhausted" in text:
            found = _OF_MEMORY.search(text)
            raise KernelOutOfMemory(*(found[2], found[1], found[3] or "memory") if found else (text, "memory", "memory")) from None
        if not text.startswith("DataFusion error:") or not _OF_VALUES.search(text):
            raise
        told = _TOLD.search(text)
        raise ValueRefused(literal(told[1]) if told else text) from None
