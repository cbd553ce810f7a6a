"""What a task has added to accumulators, as it travels with the task's end."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

from quiver_proto.accumulators import take_updates
from quiver_proto.errors import UnpicklableOutput, UpdatesTooLarge
from quiver_proto.frames import dump_value
from quiver_proto.ops import CallSite

MOST_UPDATE_BYTES = 8 << 20
"""What one task may add, pickled: it travels in the message that tells its end."""


def pickled_updates(sites: Sequence[CallSite]) -> bytes:
    """As messages.TaskExtras has them. To be called once, when the task has succeeded. Raises UnpicklableOutput, UpdatesTooLarge."""
    updates = take_updates()
    if not updates:
        return b""
    try:
        data = dump_value(updates)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        site = str(sites[-1]) if sites else "accumulator"
        raise UnpicklableOutput(site, f"what was added to accumulator {', '.join(map(str, updates))}", str(error)) from None
    if len(data) > MOST_UPDATE_BYTES:
        raise UpdatesTooLarge(len(data), MOST_UPDATE_BYTES)
    return data
