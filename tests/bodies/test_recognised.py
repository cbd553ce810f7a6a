"""Which functions of users are known for what they do: a wrong yes changes results, a wrong no only costs time.

No `from __future__` here, on purpose: it leaves its mark on code objects, and users' programs mostly have none.
"""

import pickle
from operator import add

import cloudpickle
import pytest

from quiver_executor.functions import is_addition, paired_count, splitting

ONE = 1


def documented(word):
    """Has a docstring, so other constants."""
    return (word, 1)


def plain(word):
    return (word, 1)


def sealed(function):
    return pickle.loads(cloudpickle.dumps(function))


@pytest.mark.parametrize("function", [lambda w: (w, 1), lambda other_name: (other_name, 1), plain])
def test_pairs_with_one(function):
    assert paired_count(function) == 1
    assert paired_count(sealed(function)) == 1


def test_pairs_with_another_count():
    assert paired_count(lambda w: (w, 7)) == 7


@pytest.mark.parametrize(
    "function",
    [
        lambda w: (w, 1.0), lambda w: (w, True), lambda w: (w, "1"), lambda w: (1, w), lambda w: [w, 1], lambda w: (w, ONE),
        lambda w: (w.lower(), 1), lambda w: (w, 1, 1), lambda *w: (w, 1), lambda w, n=1: (w, n), len, str.lower,
    ],
)  # fmt: skip
def test_what_is_not_pairing(function):
    assert paired_count(function) is None


@pytest.mark.parametrize("function", [add, lambda a, b: a + b, lambda x, y: x + y])
def test_addition(function):
    assert is_addition(function)
    assert is_addition(sealed(function))


@pytest.mark.parametrize(
    "function",
    [lambda a, b: b + a, lambda a, b: a - b, lambda a, b: a, lambda a, b: a + b + 1, max, lambda *a: a + a],
)
def test_what_is_not_addition(function):
    assert not is_addition(function)


@pytest.mark.parametrize(("function", "answer"), [(lambda line: line.split(), True), (str.split, True), (lambda x: x.split(","), ",")])
def test_splitting(function, answer):
    assert splitting(function) == answer
    assert splitting(sealed(function)) == answer


@pytest.mark.parametrize(
    "function",
    [
        lambda line: line.split(None), lambda line: line.split(""), lambda line: line.split(", "), lambda line: line.split(",", 1),
        lambda line: line.rsplit(), lambda line: line.split(b","), lambda line: line.split(sep=","), lambda line: line.split().split(),
        lambda line: line.split, str.rsplit, bytes.split, lambda line: [*line.split()], lambda line: ",".split(line),
    ],
)  # fmt: skip
def test_what_is_not_splitting(function):
    assert splitting(function) is False
