"""The stage vocabulary: what a Python pipeline is made of.

A stage body is a tree of these nodes under one sink. The driver builds it from lineage; a slot evaluates it. Nodes are plain
data; users' functions are sealed as `Function` (bytes made by cloudpickle on the driver, opened only in a slot).

Every node is evaluated for one *split*: the plain value that says which part of the data this task has. A split has the
shape of the tree (a chain passes its split through):

    node                          split
    Items                         bytes: one frame (quiver_proto.frames) of the partition's records
    IntRange                      (start, stop, step)
    TextLines, WholeFiles,
    FixedRecords, PickledRecords  list of TextChunk tuples (path, start, length); length -1 = to the end
    ShuffleRead, Fragment         int: the reduce partition, the partition of the fragment
    MapPartitions(with_index)     (partition index, split of parent)
    Union                         (branch, split of that parent)
    Coalesce                      list of splits of parent
    CheckpointRead                (path, bytes of frames, how many frames, digest)
    Cartesian, Zip                (split of left, split of right)
    Gather                        list of splits, one of each parent
    Cache                         (partition index, split of parent); None for the latter: the driver believes that the block is there
    every other node              split of parent
"""

# All of them at once: bodies name their nodes as `ops.Map`.
from quiver_proto.ops.functions import *
from quiver_proto.ops.nodes import *
from quiver_proto.ops.shuffles import *
from quiver_proto.ops.sinks import *
