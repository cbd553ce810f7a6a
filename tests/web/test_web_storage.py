"""Cached datasets in the fold, on pages, over REST, and in a real Chromium."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import web_story as story
from hypothesis import given, settings
from hypothesis import strategies as st
from web_browsing import chromium, error_entries, eventually, web_process
from web_harness import TOKEN, Get, fold, write

from quiver_proto import events as e
from quiver_web.fold import Limits

GetFrom = Callable[[Iterable[e.Event]], Get]
APP = f"/api/v1/applications/{story.APP}"
POINTS = e.DatasetPersisted(1001.0, 3, "points", 4, "Memory Serialized 2x Replicated")
LINES = e.DatasetPersisted(1001.0, 5, "textFile at a.py:1", 2, "Disk Serialized 1x Replicated")


def blocks(executor: str, *rows: tuple[int, int, int, int], at: float = 1002.0) -> e.Event:
    """(dataset, partition, bytes in memory, on disk)."""
    columns = list(zip(*rows, strict=True))
    return e.BlocksUpdated(at, executor, *columns)


def log() -> list[e.Event]:
    return [
        *story.started(),
        POINTS,
        LINES,
        blocks(story.E0, (3, 0, 1000, 0), (3, 1, 2000, 0), (5, 0, 0, 700)),
        blocks(story.E1, (3, 0, 1000, 0), (3, 2, 4000, 0)),
    ]


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", page)))


def test_blocks_add_up() -> None:
    storage = fold(log()).storage
    points = storage.datasets[3]
    assert (len(points.partitions), points.fraction, points.usage.blocks, points.usage.memory_bytes) == (3, 0.75, 4, 8000)
    assert storage.on(story.E0).blocks == 3
    assert (storage.total.memory_bytes, storage.total.disk_bytes) == (8000, 700)


def test_what_moves_goes_and_is_replaced() -> None:
    moved = blocks(story.E0, (3, 0, 0, 1000), (3, 1, 0, 0))
    storage = fold([*log(), moved, moved]).storage
    assert {key: sorted(copies) for key, copies in storage.datasets[3].partitions.items()} == {0: [story.E0, story.E1], 2: [story.E1]}
    assert (storage.on(story.E0).memory_bytes, storage.on(story.E0).disk_bytes) == (0, 1700)
    gone = fold([*log(), e.ExecutorRemoved(1003.0, story.E1, "killed"), blocks(story.E1, (3, 3, 1, 0))]).storage
    assert sorted(gone.datasets[3].partitions) == [0, 1]
    assert gone.on(story.E1).blocks == 0
    dropped = fold([*log(), e.DatasetUnpersisted(1003.0, 3), blocks(story.E0, (3, 0, 9, 0))]).storage
    assert list(dropped.datasets) == [5]
    assert (dropped.total.blocks, dropped.total.memory_bytes) == (1, 0)


def test_more_blocks_than_can_be_followed_are_counted() -> None:
    storage = fold(log(), Limits(blocks=3)).storage
    assert (storage.total.blocks, storage.unknown) == (3, 2)
    assert fold([*log(), e.DatasetUnpersisted(1003.0, 3), e.DatasetUnpersisted(1003.0, 5)], Limits(blocks=3)).storage.total.blocks == 0


UPDATES = st.tuples(st.sampled_from([story.E0, story.E1]), st.sampled_from([3, 5]), st.integers(0, 3), st.integers(0, 3), st.integers(0, 2))


@settings(max_examples=100, deadline=None)
@given(st.lists(UPDATES | st.sampled_from(["drop 3", "drop 5", "lose 1"]), max_size=40))
def test_totals_are_what_the_parts_say(steps: list[object]) -> None:
    told: list[e.Event] = [*story.started(), POINTS, LINES]
    for step in steps:
        match step:
            case "lose 1":
                told.append(e.ExecutorRemoved(1002.0, story.E1, "killed"))
            case str():
                told.append(e.DatasetUnpersisted(1002.0, int(step[-1])))
            case (str() as executor, int() as dataset, int() as partition, int() as memory, int() as disk):
                told += [POINTS, LINES, blocks(executor, (dataset, partition, memory, disk))]
    storage = fold(told).storage
    held = [h for dataset in storage.datasets.values() for copies in dataset.partitions.values() for h in copies.values()]
    assert storage.total.blocks == len(held) == sum(storage.on(executor).blocks for executor in (story.E0, story.E1))
    assert storage.total.memory_bytes == sum(h.memory_bytes for h in held)
    assert storage.total.disk_bytes == sum(h.disk_bytes for h in held)


def test_rest_has_sparks_shape(get_from: GetFrom) -> None:
    get = get_from([*log(), e.DatasetPersisted(1003.0, 9, "unused", 1, "Memory Serialized 1x Replicated")])
    listed = get(f"{APP}/storage/rdd").json()
    assert listed[0] == {
        "id": 3, "name": "points", "numPartitions": 4, "numCachedPartitions": 3, "storageLevel": "Memory Serialized 2x Replicated",
        "memoryUsed": 8000, "diskUsed": 0,
    }  # fmt: skip
    assert [found["id"] for found in listed] == [3, 5]
    details = get(f"{APP}/storage/rdd/3").json()
    assert details["partitions"][0] == {
        "blockName": "rdd_3_0", "storageLevel": "Memory Serialized 2x Replicated", "memoryUsed": 2000, "diskUsed": 0,
        "executors": [story.E0, story.E1],
    }  # fmt: skip
    assert details["dataDistribution"][1] == {
        "address": story.E1, "memoryUsed": 5000, "memoryRemaining": (1 << 30) - 5000, "diskUsed": 0,
    }  # fmt: skip
    executor = get(f"{APP}/executors").json()[0]
    assert (executor["rddBlocks"], executor["diskUsed"], executor["memoryMetrics"]["usedOffHeapStorageMemory"]) == (3, 700, 3000)
    assert get(f"{APP}/storage/rdd/77").status_code == 404


def test_pages(get_from: GetFrom) -> None:
    get = get_from(log())
    page = text_of(get("/storage").text)
    assert "points Memory Serialized 2x Replicated 3/4 75% 4 7.8 KiB –" in page
    assert "textFile at a.py:1 Disk Serialized 1x Replicated 1/2 50% 1 – 700 B" in page
    details = text_of(get("/storage/3").text)
    assert "3 of 4" in details
    assert "0 2 KiB – 0 , 1" in details or "0 2.0 KiB – 0 , 1" in details
    assert get("/storage/4").status_code == 404
    assert "No RDD is persisted" in get_from(story.started())("/storage").text
    assert "3 partitions, 700 B on disk" in text_of(get("/executors").text)
    assert "None of its partitions is cached" in get_from([*story.started(), POINTS])("/storage/3").text


@pytest.mark.browser
def test_the_storage_page_in_chromium(tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", log())
    with web_process(path) as web, chromium(tmp_path / "profile") as browser:

        def text() -> str:
            return str(browser.execute_script("return document.body ? document.body.innerText : ''"))

        browser.get(f"{web.address}/?token={TOKEN}")
        browser.find_element("link text", "Storage").click()
        eventually(lambda: "points" in text(), "the list of RDDs")
        assert "75%" in text()
        with path.open("a") as file:
            file.write(e.encode(blocks(story.E1, (3, 3, 500, 0), at=1003.0)) + "\n")
        eventually(lambda: "100%" in text(), "the page follows the log")
        browser.find_element("link text", "points").click()
        eventually(lambda: "Partitions" in text() and "RDD 3" in text(), "the RDD's page")
        assert browser.execute_script("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert not error_entries(browser)
