"""Sketches of Apache DataSketches: HyperLogLog, theta, KLL and tuple sketches, in the bytes in which Spark keeps them.

They need the package datasketches where queries run. What its C++ writes otherwise than Spark's Java is written anew: empty and single
sketches' flags. `OPERATIONS` holds every function by Spark's name; aggregates are given the list of their group's values.
"""

# Each family puts its functions into the table.
from quiver_proto.spark_functions.sketches import hyperloglog, kll, theta, tuples
from quiver_proto.spark_functions.sketches.operations import OPERATIONS, operation

__all__ = ["OPERATIONS", "hyperloglog", "kll", "operation", "theta", "tuples"]
