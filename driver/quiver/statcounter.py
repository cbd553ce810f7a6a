"""Where PySpark has StatCounter."""

from quiver_proto.statistics import StatCounter

__all__ = ["StatCounter"]
