"""Records, keys and values that an operator can't take."""

from __future__ import annotations

from quiver_proto.errors.base import QuiverError


class DataError(QuiverError):
    """Something is wrong with the data, not with the program."""


class ValueRefused(DataError):
    """The kernel can't compute something of a value: it would fail again in the same way. `problem` is what it says."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, problem)
        self.problem = problem


class NotAPair(DataError, TypeError, ValueError):
    """An operator on keys met a record that has none. (Taking a number apart is a TypeError, taking a triple apart a ValueError.)"""

    def __init__(self, operator: str, record: str, kind: str) -> None:
        super().__init__(
            f"{operator} needs (key, value) pairs, but a record is {record} of type {kind}. "
            "Make pairs of the records first, with map or keyBy.",
            operator,
            record,
            kind,
        )


class UnhashableKey(DataError, TypeError):
    def __init__(self, operator: str, kind: str, record: str) -> None:
        super().__init__(
            f"{operator}: a key of type {kind} can't be hashed, in the record {record}. Use a tuple instead of a list, "
            "a frozenset instead of a set, or sorted items instead of a dict.",
            operator,
            kind,
            record,
        )


class UnorderableKeys(DataError, TypeError):
    """`operator` may be "": the failure's note then names it. `problem` is what Python said when it compared two of them."""

    def __init__(self, operator: str, problem: str) -> None:
        super().__init__(
            f"{operator + ': ' if operator else ''}not all of these can be compared with one another ({problem}). Give a "
            "function that makes comparable keys of them, for instance `lambda x: (x is None, str(x))`, or filter first.",
            operator,
            problem,
        )


class BadPartitionNumber(DataError, TypeError):
    """A partitionFunc gave no integer."""

    def __init__(self, key: str, number: str) -> None:
        super().__init__(
            f"the partitionFunc gave {number} for the key {key}: it must return an int, of which the remainder is the partition",
            key,
            number,
        )


class UnstableKey(QuiverError, TypeError):
    def __init__(self, key: str, kind: str) -> None:
        super().__init__(
            f"key {key} of type {kind} hashes by its address, so equal keys would land in different partitions. "
            "Give the type __hash__ and __eq__ that depend on its values, or use a str, number or tuple as key.",
            key,
            kind,
        )


class BatchMismatch(DataError, TypeError):
    """Arrow batches that are not of the schema that was told."""

    def __init__(self, operator: str, problem: str) -> None:
        super().__init__(f"{operator}: a batch does not fit the schema that was given: {problem}.", operator, problem)


class PipeFailed(DataError, RuntimeError):
    def __init__(self, command: str, code: int) -> None:
        said = f"exited with error code {code}" if code >= 0 else f"was ended by signal {-code}"
        super().__init__(
            f"Pipe function `{command}` {said}. What it wrote to its standard error is in the executor's log; "
            "without checkCode=True its exit code is not looked at.",
            command,
            code,
        )
