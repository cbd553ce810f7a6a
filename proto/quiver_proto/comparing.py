"""What Python says of values that can't be compared, told so that one can act on it."""

from __future__ import annotations

from quiver_proto.errors import UnorderableKeys

_PYTHONS_WORDS = "not supported between instances of"


def told(error: TypeError, operator: str = "") -> TypeError:
    """What to raise for `error`, which sorting or comparing records raised: UnorderableKeys, or itself where it says something else."""
    return UnorderableKeys(operator, str(error)) if _PYTHONS_WORDS in str(error) else error
