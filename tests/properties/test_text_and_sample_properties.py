"""Word counts of any text, which kernels may take over, and what samples promise."""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quiver import Context

pytestmark = pytest.mark.parametrize("sc", ["inline"], indirect=True)

# All that str.split() takes for space, what it does not, and all line ends of Hadoop's and of str.splitlines().
SPACES = " \t\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2003\u2028\u2029\u202f\u205f\u3000\u200b\ufeff"
texts = st.text(st.sampled_from(f"ab\xe9\U0001f600{SPACES}\n\r\0"), max_size=60)

SPLITS: list[tuple[Callable[[str], Any], Callable[[str], Any]]] = [
    (str.split, str.split),
    (lambda line: line.split(), lambda line: line.split()),
    (lambda line: line.split(" "), lambda line: line.split(" ")),
    (lambda line: line.strip().split("\t"), lambda line: line.strip().split("\t")),
    (lambda line: line.lower().split(), lambda line: line.lower().split()),
]
ADDS: list[Callable[[int, int], int]] = [operator.add, lambda a, b: a + b]


def lines_of(text: str) -> list[str]:
    """As Hadoop reads them: a byte order mark at the beginning is none of the text."""
    lines = re.split("\r\n|\n|\r", text.removeprefix("\ufeff"))
    return lines[:-1] if lines[-1] == "" else lines


@settings(max_examples=120)
@given(st.lists(texts, min_size=1, max_size=3), st.integers(1, 6), st.sampled_from(SPLITS), st.sampled_from(ADDS), st.integers(1, 4))
def test_words_are_counted(
    sc: Context,
    tmp_path_factory: pytest.TempPathFactory,
    files: list[str],
    partitions: int,
    split: tuple[Callable[[str], Any], Callable[[str], Any]],
    add: Callable[[int, int], int],
    width: int,
) -> None:
    folder = tmp_path_factory.mktemp("text")
    for number, text in enumerate(files):
        Path(folder, f"{number}.txt").write_bytes(text.encode())
    words = sc.textFile(str(folder), partitions).flatMap(split[0])
    lines = [line for text in files for line in lines_of(text)]
    expected = Counter(word for line in lines for word in split[1](line))
    counted = words.map(lambda word: (word, 1)).reduceByKey(add, width).collect()
    assert dict(counted) == expected
    assert len(counted) == len(expected)
    assert words.countByValue() == expected


records = st.lists(st.integers(-5, 5), max_size=40)


@settings(max_examples=40)
@given(records, st.integers(1, 5), st.floats(0, 1), st.integers(0, 2**32))
def test_a_sample_is_part_of_the_records_and_the_same_for_a_seed(
    sc: Context, values: list[int], slices: int, fraction: float, seed: int
) -> None:
    rdd = sc.parallelize(values, slices)
    sample = rdd.sample(False, fraction, seed).collect()
    assert Counter(sample) <= Counter(values)
    assert sample == rdd.sample(False, fraction, seed).collect()
    assert set(rdd.sample(True, fraction, seed).collect()) <= set(values)
    assert rdd.sample(False, 1.0, seed).collect() == values
    assert rdd.sample(False, 0.0, seed).collect() == []


@settings(max_examples=30)
@given(records, st.integers(1, 5), st.lists(st.floats(0.01, 1), min_size=1, max_size=4), st.integers(0, 2**32))
def test_a_random_split_gives_each_record_to_one_part(sc: Context, values: list[int], slices: int, weights: list[float], seed: int) -> None:
    parts = [part.collect() for part in sc.parallelize(values, slices).randomSplit(weights, seed)]
    assert len(parts) == len(weights)
    assert sum(map(Counter, parts), Counter()) == Counter(values)


@settings(max_examples=30)
@given(records, st.integers(1, 5), st.integers(0, 50), st.integers(0, 2**32))
def test_take_sample_gives_as_many_as_asked(sc: Context, values: list[int], slices: int, number: int, seed: int) -> None:
    rdd = sc.parallelize(values, slices)
    sample = rdd.takeSample(False, number, seed)
    assert len(sample) == min(number, len(values))
    assert Counter(sample) <= Counter(values)
    repeated = rdd.takeSample(True, number, seed)
    assert len(repeated) == (number if values else 0)
    assert set(repeated) <= set(values)
