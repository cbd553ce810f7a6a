"""RDD: a lazy dataset in partitions, as users see it. Its methods stand, by kind, in the classes it inherits from:

RddCore          identity and lineage                 rdd_core.py
RecordOperators  map, filter, union, sortBy, …        rdd_narrow.py
PairOperators    reduceByKey, join, sortByKey, …      rdd_pairs.py
BarrierOperators barrier                              rdd_barrier.py
ResourceOperators withResources                       rdd_resources.py
Actions          collect, count, saveAsTextFile, …    rdd_actions.py
Sampling         sample, randomSplit, takeSample, …   rdd_sampling.py
Estimates        countApprox, sumApprox, …            rdd_approx.py
Histograms       histogram                            rdd_histogram.py
JvmOnly          saveAsHadoopFile, …: typed errors    rdd_jvm.py
StorageOperators cache, persist, checkpoint, …        rdd_storage.py
Relational       toDF                                 rdd_relations.py
"""

from __future__ import annotations

from typing import TypeVar

from quiver.rdd_approx import BoundedFloat, Estimates
from quiver.rdd_barrier import BarrierOperators, RDDBarrier
from quiver.rdd_histogram import Histograms
from quiver.rdd_jvm import JvmOnly
from quiver.rdd_relations import Relational
from quiver.rdd_resources import ResourceOperators
from quiver.rdd_sampling import Sampling
from quiver.rdd_storage import StorageOperators
from quiver_proto.functions import ResultIterable
from quiver_proto.hashing import portable_hash
from quiver_proto.statistics import StatCounter

__all__ = ["RDD", "BoundedFloat", "RDDBarrier", "ResultIterable", "StatCounter", "portable_hash"]

T = TypeVar("T")


class RDD(
    Sampling[T], Estimates[T], Histograms[T], BarrierOperators[T], ResourceOperators[T], StorageOperators[T], Relational[T], JvmOnly[T]
):
    """A dataset of records of one type, in partitions. Made by a Context, or by an operator of another RDD.

    Operators (map, join, …) only describe; actions (collect, count, …) compute. What an operator's function captures is taken
    when a shuffle, union, coalesce, cartesian or zip is put on top of it, or an action computes it, whichever is first.

    >>> words = sc.parallelize(["to be or", "not to be"]).flatMap(str.split)
    >>> sorted(words.map(lambda word: (word, 1)).reduceByKey(lambda a, b: a + b).collect())
    [('be', 2), ('not', 1), ('or', 1), ('to', 2)]
    """

    __slots__ = ()
