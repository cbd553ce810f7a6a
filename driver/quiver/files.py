"""Where PySpark has SparkFiles."""

from quiver.shared_files import Files

SparkFiles = Files

__all__ = ["Files", "SparkFiles"]
