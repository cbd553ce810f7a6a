"""Skewed keys on real slots: who is told, and that operators which combine first have nothing to tell."""

from __future__ import annotations

import logging
from operator import add
from pathlib import Path
from typing import Any

import pytest
from harness import MakeContext

from quiver import RDD, Context
from quiver_proto.events import SkewDetected, decode

SMALL = {"quiver.skew.thresholdBytes": "8k"}


def skewed_pairs(sc: Context) -> RDD[tuple[str, int]]:
    """120,000 records in 4 partitions, nine in ten of one key; values that do not compress to nothing."""
    return sc.range(0, 120_000, 1, 4).map(lambda i: ("hot" if i % 10 else f"k{i}", i * 2654435761 % 2**32))


@pytest.mark.parametrize("master", ["local[2]", "inline"])
def test_a_skewed_group_by_key_says_so_once(
    make_context: MakeContext, tmp_path: Path, master: str, caplog: pytest.LogCaptureFixture
) -> None:
    sc = make_context(master, **SMALL)
    grouped = skewed_pairs(sc).groupByKey(8)
    with caplog.at_level(logging.WARNING, "quiver.driver"):
        grouped.mapValues(len).collect()
        grouped.count()
    (report,) = sc.skewReports()
    assert report.keys[0].key == "'hot'"
    assert 0.8 < report.keys[0].share <= 0.9
    assert report.keys[0].records <= 108_000
    assert report.partitions == 8
    assert report.size_bytes > 5 * report.median_bytes
    assert report.operator.startswith("groupByKey at test_skew.py:")
    (line,) = [record.getMessage() for record in caplog.records if "skewed" in record.getMessage()]
    assert line == report.text
    assert "'hot'" in line
    assert "Use reduceByKey" in line
    sc.stop()
    events = [decode(line) for path in (tmp_path / "events").iterdir() for line in path.read_text().splitlines()]
    (event,) = [event for event in events if isinstance(event, SkewDetected)]
    assert (event.stage_id, event.partition, event.keys[0][0]) == (report.stage_id, report.partition, "'hot'")


def test_what_combines_first_has_nothing_to_tell(make_context: MakeContext) -> None:
    sc = make_context("local[2]", **SMALL)
    pairs = skewed_pairs(sc)
    assert dict(pairs.mapValues(lambda _: 1).reduceByKey(add, 8).collect())["hot"] == 108_000
    pairs.aggregateByKey(0, lambda n, _: n + 1, add, 8).count()
    assert sc.skewReports() == []


def test_small_data_is_silent(make_context: MakeContext) -> None:
    sc = make_context("local[2]")
    skewed_pairs(sc).groupByKey(8).count()
    assert sc.skewReports() == []


@pytest.mark.parametrize(
    ("use", "advice"),
    [
        (lambda pairs, sc: pairs.join(sc.parallelize([("hot", 0)], 2), 8), "Broadcast the small side"),
        (lambda pairs, sc: pairs.partitionBy(8), "repartition"),
    ],
)
def test_the_remedy_depends_on_the_operator(make_context: MakeContext, use: Any, advice: str) -> None:
    sc = make_context("local[2]", **SMALL)
    use(skewed_pairs(sc), sc).count()
    (report,) = sc.skewReports()
    assert report.keys[0].key == "'hot'"
    assert advice in report.remedy
