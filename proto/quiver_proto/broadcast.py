"""Broadcasts as tasks see them: a pickled Broadcast is its id alone, and its value is opened in a slot when first asked for.

On the driver a Broadcast is one of quiver.broadcast, whose `__reduce__` gives what this module opens.
"""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable
from typing import Any, BinaryIO, Generic, Protocol, TypeVar

from quiver_proto.errors import BroadcastNotLoaded, InvalidBroadcastOperation

T = TypeVar("T")
PROTOCOL = 5

values: dict[int, Any] = {}
"""The values that are open in this process, by broadcast id."""


class Source(Protocol):
    """Where a stage's tasks get broadcast values."""

    def open(self, broadcast_id: int) -> Any:
        """The value, from now on in `values`. Raises BroadcastNotLoaded, BlockCorrupt, ConnectionFailed, QuotaExceeded, DiskFull."""
        ...


source: Source | None = None
"""Of the stage that this process opens or runs; None: it refers to no broadcast."""


class Broadcast(Generic[T]):
    """A read-only value that every node gets once, made by Context.broadcast.

    Functions given to operators refer to it, and read its `value`. In a slot the value is opened when first asked for and shared by all
    tasks; its numpy arrays and Arrow tables lie in a file that all slots of the node map, and can't be written to. Don't change a value.

    >>> b = sc.broadcast([1, 2, 3, 4, 5])
    >>> b.value
    [1, 2, 3, 4, 5]
    >>> sc.parallelize([0, 0]).flatMap(lambda x: b.value).collect()
    [1, 2, 3, 4, 5, 1, 2, 3, 4, 5]
    >>> b.unpersist()
    """

    def __init__(self, broadcast_id: int, where: Source | None) -> None:
        self.id = broadcast_id
        self._source = where

    @property
    def value(self) -> T:
        """The value. Raises BroadcastDestroyed on the driver after `destroy`.

        >>> sc.broadcast({"a": 1}).value["a"]
        1
        """
        value: T
        try:
            value = values[self.id]
        except KeyError:
            if self._source is None:
                raise BroadcastNotLoaded(self.id) from None
            value = self._source.open(self.id)
        return value

    def unpersist(self, blocking: bool = False) -> None:
        """Drop the copies on nodes and in slots; tasks that use the value again get it again. `blocking` waits until they are gone.

        On the driver only: raises InvalidBroadcastOperation in a task.

        >>> b = sc.broadcast(range(10))
        >>> b.unpersist(blocking=True)
        >>> sc.parallelize([3]).map(lambda x: b.value[x]).collect()
        [3]
        """
        raise InvalidBroadcastOperation("unpersisted")

    def destroy(self, blocking: bool = False) -> None:
        """Drop the value everywhere, on the driver too. Using it later raises BroadcastDestroyed.

        On the driver only: raises InvalidBroadcastOperation in a task.

        >>> b = sc.broadcast([1])
        >>> b.destroy()
        >>> b.value
        Traceback (most recent call last):
            ...
        quiver_proto.errors.BroadcastDestroyed: Attempted to use Broadcast(...) after it was destroyed, or of another Context. ...
        """
        raise InvalidBroadcastOperation("destroyed")

    def dump(self, value: T, f: BinaryIO) -> None:
        """Write `value` to the open file as one pickle, and close it. Raises pickle.PicklingError.

        >>> import os, tempfile
        >>> b = sc.broadcast([1, 2])
        >>> path = os.path.join(tempfile.mkdtemp(), "value")
        >>> b.dump(b.value, open(path, "wb"))
        >>> b.load_from_path(path)
        [1, 2]
        """
        try:
            pickle.dump(value, f, PROTOCOL)
        except pickle.PickleError:
            raise
        except Exception as error:
            raise pickle.PicklingError(f"Could not serialize broadcast: {type(error).__name__}: {error}") from error
        f.close()

    def load(self, file: BinaryIO) -> T:
        """The value that `dump` wrote. Only for files of your own: unpickling runs what the file says.

        >>> import io
        >>> sc.broadcast(0).load(io.BytesIO(b"K\\x07."))
        7
        """
        with without_collector():
            value: T = pickle.load(file)
            return value

    def load_from_path(self, path: str) -> T:
        """`load` from the file of that name.

        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "value")
        >>> table = sc.broadcast({"a": 1})
        >>> with open(path, "wb") as file: table.dump({"a": 2}, file)
        >>> table.load_from_path(path)
        {'a': 2}
        >>> table.destroy()
        """
        with open(path, "rb", 1 << 20) as file:
            return self.load(file)

    def __reduce__(self) -> tuple[Callable[[int], Broadcast[Any]], tuple[int]]:
        raise InvalidBroadcastOperation("serialized")

    def __repr__(self) -> str:
        return f"<Broadcast {self.id}>"


class without_collector:
    """Within the block the cyclic garbage collector rests: opening a large graph of objects makes no garbage, and it would look at all."""

    def __enter__(self) -> None:
        self._enabled = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self._enabled:
            gc.enable()


def from_id(broadcast_id: int) -> Broadcast[Any]:
    """What a pickled Broadcast becomes in a task."""
    return Broadcast(broadcast_id, source)
