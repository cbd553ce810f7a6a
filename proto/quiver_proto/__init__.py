"""What Quiver's processes agree on: ids, messages, errors, the stage vocabulary and the block format.

Imports run one way: `quiver`, `quiver_manager`, `quiver_executor` and `quiver_web` import this package, never one another.
"""

__version__ = "0.1.0"

PROTOCOL_VERSION = 1
"""Raised whenever a message changes meaning; both sides of every handshake must agree on it."""
