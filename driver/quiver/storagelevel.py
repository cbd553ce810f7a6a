"""Where PySpark has StorageLevel."""

from quiver_proto.storage import StorageLevel

__all__ = ["StorageLevel"]
