"""Broadcasts and accumulators."""

from __future__ import annotations

from quiver_proto.errors.base import QuiverError


class SharedVariableError(QuiverError, RuntimeError):
    """A broadcast or an accumulator was used where, or when, it can't be."""


class ValueNotAccessible(SharedVariableError):
    def __init__(self, value: str) -> None:
        super().__init__(
            f"Value {value!r} cannot be accessed inside tasks. A task can only add to an accumulator; read it on the driver, "
            "after the action.",
            value,
        )


class UpdatesTooLarge(SharedVariableError):
    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"a task added {size:,} bytes to accumulators, more than the {limit:,} that its end can carry. Collect or aggregate "
            "large results; accumulators are for counts and small sums.",
            size,
            limit,
        )


class InvalidBroadcastOperation(SharedVariableError):
    def __init__(self, operation: str) -> None:
        super().__init__(f"Broadcast can only be {operation} in driver. In a task, only its value can be read.", operation)


class BroadcastNotLoaded(SharedVariableError):
    def __init__(self, broadcast_id: int) -> None:
        super().__init__(
            f"Broadcast variable {broadcast_id} not loaded: no function of this stage refers to it. Refer to the broadcast in the function "
            "given to the operator, not in records.",
            broadcast_id,
        )


class BroadcastDestroyed(SharedVariableError):
    def __init__(self, broadcast_id: int) -> None:
        super().__init__(
            f"Attempted to use Broadcast({broadcast_id}) after it was destroyed, or of another Context. Call broadcast() again.",
            broadcast_id,
        )
