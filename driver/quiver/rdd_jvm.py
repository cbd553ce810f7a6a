"""Names of RDD and Context that PySpark hands to Hadoop's Java classes. Here each says so, and what to use instead."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from quiver.rdd_actions import Actions
from quiver_proto.errors import NeedsJVM

T = TypeVar("T")

_FORMATS = "it writes through a Hadoop OutputFormat, a Java class"
_WRITE = "Use saveAsTextFile, saveAsPickleFile, or write files of your own from foreachPartition."
_SEQUENCE = "sequence files hold Java's Writable objects"


class JvmOnly(Actions[T]):
    """Every one of these raises NeedsJVM (a RuntimeError), before anything runs."""

    __slots__ = ()

    def saveAsHadoopDataset(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not offered: raises NeedsJVM. Use saveAsTextFile or saveAsPickleFile.

        >>> sc.parallelize([(1, 2)]).saveAsHadoopDataset({})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        quiver_proto.errors.NeedsJVM: RDD.saveAsHadoopDataset needs a JVM: ...
        """
        raise NeedsJVM("RDD.saveAsHadoopDataset", _FORMATS, _WRITE)

    def saveAsHadoopFile(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not offered: raises NeedsJVM. Use saveAsTextFile or saveAsPickleFile.

        >>> sc.parallelize([(1, 2)]).saveAsHadoopFile("out", "some.OutputFormat")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        quiver_proto.errors.NeedsJVM: RDD.saveAsHadoopFile needs a JVM: ...
        """
        raise NeedsJVM("RDD.saveAsHadoopFile", _FORMATS, _WRITE)

    def saveAsNewAPIHadoopDataset(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not offered: raises NeedsJVM. Use saveAsTextFile or saveAsPickleFile.

        >>> sc.parallelize([(1, 2)]).saveAsNewAPIHadoopDataset({})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        quiver_proto.errors.NeedsJVM: RDD.saveAsNewAPIHadoopDataset needs a JVM: ...
        """
        raise NeedsJVM("RDD.saveAsNewAPIHadoopDataset", _FORMATS, _WRITE)

    def saveAsNewAPIHadoopFile(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not offered: raises NeedsJVM. Use saveAsTextFile or saveAsPickleFile.

        >>> sc.parallelize([(1, 2)]).saveAsNewAPIHadoopFile("out", "some.OutputFormat")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        quiver_proto.errors.NeedsJVM: RDD.saveAsNewAPIHadoopFile needs a JVM: ...
        """
        raise NeedsJVM("RDD.saveAsNewAPIHadoopFile", _FORMATS, _WRITE)

    def saveAsSequenceFile(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not offered: raises NeedsJVM. Use saveAsPickleFile, which keeps types, or saveAsTextFile.

        >>> sc.parallelize([(1, 2)]).saveAsSequenceFile("out")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        quiver_proto.errors.NeedsJVM: RDD.saveAsSequenceFile needs a JVM: ...
        """
        raise NeedsJVM("RDD.saveAsSequenceFile", _SEQUENCE, "Use saveAsPickleFile, which keeps types, or saveAsTextFile.")


_INPUT = "it reads through a Hadoop InputFormat, a Java class"
_READ = "Use textFile, binaryFiles, binaryRecords or pickleFile; other formats: binaryFiles(path).flatMap(parse)."


class JvmSources:
    """A Context's part of them."""

    def hadoopFile(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not offered: raises NeedsJVM. Use textFile, binaryFiles, binaryRecords or pickleFile.

        >>> sc.hadoopFile("in", "some.InputFormat", "K", "V")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        quiver_proto.errors.NeedsJVM: SparkContext.hadoopFile needs a JVM: ...
        """
        raise NeedsJVM("SparkContext.hadoopFile", _INPUT, _READ)

    def hadoopRDD(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not offered: raises NeedsJVM. Use textFile, binaryFiles, binaryRecords or pickleFile.

        >>> sc.hadoopRDD("some.InputFormat", "K", "V")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        quiver_proto.errors.NeedsJVM: SparkContext.hadoopRDD needs a JVM: ...
        """
        raise NeedsJVM("SparkContext.hadoopRDD", _INPUT, _READ)

    def newAPIHadoopFile(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not offered: raises NeedsJVM. Use textFile, binaryFiles, binaryRecords or pickleFile.

        >>> sc.newAPIHadoopFile("in", "some.InputFormat", "K", "V")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        quiver_proto.errors.NeedsJVM: SparkContext.newAPIHadoopFile needs a JVM: ...
        """
        raise NeedsJVM("SparkContext.newAPIHadoopFile", _INPUT, _READ)

    def newAPIHadoopRDD(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not offered: raises NeedsJVM. Use textFile, binaryFiles, binaryRecords or pickleFile.

        >>> sc.newAPIHadoopRDD("some.InputFormat", "K", "V")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        quiver_proto.errors.NeedsJVM: SparkContext.newAPIHadoopRDD needs a JVM: ...
        """
        raise NeedsJVM("SparkContext.newAPIHadoopRDD", _INPUT, _READ)

    def sequenceFile(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not offered: raises NeedsJVM. Convert the file with Spark once, to text or Parquet.

        >>> sc.sequenceFile("in")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        quiver_proto.errors.NeedsJVM: SparkContext.sequenceFile needs a JVM: ...
        """
        raise NeedsJVM("SparkContext.sequenceFile", _SEQUENCE, f"Convert it with Spark once, to text or Parquet. {_READ}")
