"""Sealing fails on the driver, before anything is sent, and names the path to the culprit."""

from __future__ import annotations

import functools
import logging
import pickle
import threading
from typing import Any

import pytest
from recording import RecordingDriver

from quiver import Context
from quiver.closures import seal
from quiver_proto.errors import DriverObjectInClosure, UnpicklableClosure, UnpicklableRecord
from quiver_proto.ops import CallSite

SITE = CallSite("map", "/app/job.py", 7)
lock_of_module = threading.Lock()


class Client:
    def __init__(self) -> None:
        self.retries = 3
        self._lock = threading.Lock()


class Job:
    def __init__(self) -> None:
        self.client = Client()

    def closure(self) -> Any:
        def f(x: int) -> int:
            return x + self.client.retries

        return f

    def method(self, x: int) -> int:
        return x


class WithState:
    """Its pickle leaves the lock out, so the lock is never to blame."""

    def __init__(self) -> None:
        self.lock, self.other = threading.Lock(), [threading.Lock()]

    def __getstate__(self) -> dict[str, Any]:
        return {"other": self.other}


def by_default(x: int, *, held: Any = lock_of_module) -> int:
    return x


def nested_global() -> Any:
    def outer(x: int) -> Any:
        def inner() -> Any:
            return lock_of_module

        return inner

    # A copy of another module's function would be pickled by reference; this one goes by value, as one of __main__ does.
    outer.__module__ = "__main__"
    return outer


def culprit(function: Any) -> str:
    with pytest.raises(UnpicklableClosure) as caught:
        seal(function, SITE)
    assert isinstance(caught.value, pickle.PicklingError)
    return str(caught.value.fields[2])


def test_a_good_function_is_sealed_as_it_is_now() -> None:
    bonus = 2
    sealed = seal(lambda x: x + bonus, SITE)
    bonus = 5
    assert pickle.loads(sealed.pickled)(1) == 3
    assert (sealed.name, sealed.call_site) == ("<lambda>", SITE)


def test_attribute_of_a_captured_object() -> None:
    assert culprit(Job().closure()) == "f.closure.self.client._lock"


def test_bound_method() -> None:
    assert culprit(Job().method) == "method.self.client._lock"


def test_items_of_containers() -> None:
    pool = {"a": [1, (2, threading.Lock())]}
    assert culprit(lambda x: pool) == "<lambda>.closure.pool['a'][1][1]"


def test_global_of_a_nested_function() -> None:
    assert culprit(nested_global()) == "outer.globals.lock_of_module"


def test_default_and_partial() -> None:
    held = threading.Lock()
    assert culprit(lambda x, lock=held: x) == "<lambda>.defaults[0]"
    assert culprit(functools.partial(by_default, held)) == "partial.args[0]"
    assert culprit(functools.partial(by_default, held=held)) == "partial.keywords['held']"


def test_generator_and_open_file(tmp_path: Any) -> None:
    generator = (i for i in range(3))
    assert culprit(lambda x: next(generator)) == "<lambda>.closure.generator"
    with open(tmp_path / "log", "w") as log:
        assert culprit(lambda x: log.write(x)) == "<lambda>.closure.log"


def test_what_a_pickle_leaves_out_is_not_to_blame() -> None:
    state = WithState()
    assert culprit(lambda x: state) == "<lambda>.closure.state.other[0]"


def test_a_cycle_ends() -> None:
    ring: list[Any] = []
    ring += [ring, {"lock": threading.Lock()}]
    assert culprit(lambda x: ring) == "<lambda>.closure.ring[1]['lock']"


def test_the_message_says_what_and_where() -> None:
    with pytest.raises(UnpicklableClosure, match=r"given to map \(map at job.py:7\) can't be sent") as caught:
        seal(Job().closure(), SITE)
    assert "cannot pickle '_thread.lock' object" in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_rdd_inside_a_function(driver: RecordingDriver, recorder: Context) -> None:
    other = recorder.range(3)
    with pytest.raises(DriverObjectInClosure, match=r"<lambda>.closure.other is an RDD.*attempting to reference an RDD") as caught:
        recorder.range(3).map(lambda x: other.count() * x).collect()
    assert isinstance(caught.value, pickle.PicklingError)
    assert isinstance(caught.value, RuntimeError)
    with pytest.raises(DriverObjectInClosure, match=r"closure.recorder is a Context"):
        recorder.range(3).map(lambda x: recorder.range(x)).collect()
    assert driver.jobs == []


def test_the_users_function_is_named_not_ours(driver: RecordingDriver, recorder: Context) -> None:
    held = threading.Lock()

    def merge(a: int, b: int) -> Any:
        return held

    for action in (
        lambda: recorder.range(3).reduce(merge),
        lambda: recorder.range(3).foreach(lambda x: held),
        lambda: recorder.range(3).max(key=lambda x: held),
        lambda: recorder.parallelize([(1, 1)]).foldByKey(0, merge),
    ):
        with pytest.raises(UnpicklableClosure, match=r"(merge|<lambda>)\.closure\.held"):
            action()
    assert driver.jobs == []


def test_a_shuffle_seals_at_once(driver: RecordingDriver, recorder: Context) -> None:
    held = threading.Lock()
    with pytest.raises(UnpicklableClosure, match=r"given to map \(map at test_rdd_closures.py:\d+\)"):
        recorder.parallelize([(1, 1)]).map(lambda x: (x, held)).groupByKey()


def test_records_that_cannot_be_sent(recorder: Context) -> None:
    with pytest.raises(UnpicklableRecord, match=r"parallelize at .*: records\[2\]\['lock'\] is a _thread.lock"):
        recorder.parallelize([1, 2, {"lock": threading.Lock()}], 2)


def test_large_closures_are_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    table, small = bytes(3 << 20), bytes(1000)
    with caplog.at_level(logging.WARNING, "quiver"):
        seal(lambda x: (table, small), SITE)
    assert "3.0 MiB" in caplog.text
    assert "<lambda>.closure.table" in caplog.text
    caplog.clear()
    seal(lambda x: small, SITE)
    assert caplog.text == ""
