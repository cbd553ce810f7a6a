"""The rule for skew, and who is told what. Pure."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from quiver.skew import RETAINED, SkewPolicy, SkewWatch, as_event, partition_sizes, skewed
from quiver_proto import events
from quiver_proto.ids import ExecutorId, NodeId, ShuffleId, TaskId
from quiver_proto.messages import HeavyKey, MapOutput
from quiver_proto.ops import CallSite

POLICY = SkewPolicy(5.0, 1000)
GROUP = CallSite("groupByKey", "/home/me/app.py", 4)
JOIN = CallSite("join", "/home/me/app.py", 5)
S0, S1 = ShuffleId(0), ShuffleId(1)


def output(index: int, sizes: list[int], records: int) -> MapOutput:
    return MapOutput(index, TaskId(index), NodeId("n"), ExecutorId("e"), "/x", array("Q", sizes).tobytes(), records)


def test_spark_s_rule() -> None:
    assert skewed([10, 10, 10, 5000], POLICY) == (3, 10)
    assert skewed([10, 10, 10, 1000], POLICY) is None, "not above the threshold"
    assert skewed([900, 900, 4500], POLICY) is None, "not above five times the median"
    assert skewed([0, 0, 1001], POLICY) == (2, 0)
    assert skewed([5000], POLICY) is None, "one partition has no others"
    assert skewed([], POLICY) is None


@given(st.lists(st.integers(0, 10**6), max_size=20))
def test_even_or_small_data_is_never_skewed(sizes: list[int]) -> None:
    found = skewed(sizes, POLICY)
    if found is not None:
        assert sizes[found[0]] == max(sizes) > 1000
    assert skewed([size % 1001 for size in sizes], POLICY) is None
    assert skewed([10**6] * len(sizes), POLICY) is None


def test_sizes_add_up_over_map_tasks() -> None:
    assert partition_sizes([output(0, [1, 2], 1), output(1, [10, 0], 1)]) == [11, 2]
    assert partition_sizes([]) == []


def watch() -> SkewWatch:
    watch = SkewWatch(POLICY)
    watch.heard(S0, 0, [HeavyKey("'x'", 1, 600), HeavyKey("'y'", 1, 50), HeavyKey("'z'", 0, 40)])
    watch.heard(S0, 1, [HeavyKey("'x'", 1, 1)])
    watch.heard(S0, 1, [HeavyKey("'x'", 1, 200)])
    return watch


INPUTS = {S0: [output(0, [100, 3000, 100], 700), output(1, [100, 2000, 100], 300)]}


def test_a_report_names_partition_key_share_and_remedy() -> None:
    report = watch().look(7, "collect at app.py:9", 3, (GROUP,), INPUTS)
    assert report is not None
    assert (report.stage_id, report.partition, report.partitions) == (7, 1, 3)
    assert (report.size_bytes, report.median_bytes, report.total_bytes) == (5000, 200, 5400)
    # A map task that ran twice counts once; keys of other partitions are not to blame.
    assert [(key.key, key.records, key.share) for key in report.keys] == [("'x'", 800, 0.8), ("'y'", 50, 0.05)]
    assert report.operator == "groupByKey at app.py:4"
    assert "Key 'x' has at least 80% of all records" in report.text
    assert "25 times the median" in report.text
    assert "reduceByKey" in report.remedy
    event = events.decode(events.encode(as_event(report, 3.0)))
    assert isinstance(event, events.SkewDetected)
    assert (event.at, event.partition, event.text) == (3.0, 1, report.text)


def test_it_is_said_once_until_the_shuffle_goes() -> None:
    watcher = watch()
    assert watcher.look(7, "n", 3, (GROUP,), INPUTS) is not None
    assert watcher.look(8, "n", 3, (GROUP,), INPUTS) is None
    watcher.forget(S0)
    again = watcher.look(9, "n", 3, (GROUP,), INPUTS)
    assert again is not None
    assert again.keys == ()
    assert [report.stage_id for report in watcher.reports] == [7, 9]


def test_a_join_reads_a_partition_of_each_side_and_a_union_has_a_task_for_each() -> None:
    halves = {S0: [output(0, [200, 900, 200], 10)], S1: [output(0, [100, 900, 100], 10)]}
    joined = watch().look(1, "n", 3, (JOIN,), halves)
    assert joined is not None
    assert joined.size_bytes == 1800
    assert "Broadcast the small side" in joined.remedy
    assert watch().look(1, "n", 6, (JOIN,), halves) is None


def test_reports_are_bounded() -> None:
    watcher = SkewWatch(POLICY)
    for number in range(RETAINED + 5):
        watcher.look(number, "n", 3, (), {ShuffleId(number): INPUTS[S0]})
    assert [report.stage_id for report in watcher.reports] == list(range(5, RETAINED + 5))
