"""Where PySpark has ResultIterable."""

from quiver_proto.functions import ResultIterable

__all__ = ["ResultIterable"]
