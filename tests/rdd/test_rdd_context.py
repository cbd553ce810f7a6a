"""Context: one at a time, stopped once, of one process."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys

import pytest
from recording import RecordingDriver

import quiver
from quiver import Conf, Context, SparkContext
from quiver.errors import BadSetting, ContextStopped, QuiverError


def test_facts(driver: RecordingDriver, recorder: Context) -> None:
    assert (recorder.master, recorder.appName, recorder.applicationId) == ("inline", "test", "app-test")
    assert (recorder.defaultParallelism, recorder.defaultMinPartitions, recorder.startTime) == (2, 2, 12500)
    assert recorder.uiWebUrl is None
    assert recorder.version == quiver.__version__
    recorder.getConf().setAppName("other")
    assert recorder.appName == "test"
    assert SparkContext is Context


def test_only_one_at_a_time(driver: RecordingDriver, recorder: Context) -> None:
    with pytest.raises(ValueError, match=r"existing Context\(app=test, master=inline\) created by Context at conftest.py:\d+"):
        Context("inline")
    assert Context.getOrCreate() is recorder
    recorder.stop()
    with Context.getOrCreate(Conf().setMaster("inline").setAppName("second")) as second:
        assert second is not recorder
        assert second.appName == "second"


def test_stop_ends_everything_once(driver: RecordingDriver, recorder: Context) -> None:
    rdd = recorder.parallelize([1])
    recorder.stop()
    recorder.stop()
    assert driver.stops == 1
    for use in (
        rdd.collect,
        lambda: rdd.map(str),
        lambda: recorder.parallelize([1]),
        lambda: recorder.textFile("x"),
        recorder.cancelAllJobs,
    ):
        with pytest.raises(ContextStopped, match="was stopped"):
            use()
    assert "stopped" in repr(recorder)


def test_a_context_that_cannot_connect_leaves_no_trace() -> None:
    with pytest.raises(QuiverError):
        Context("nowhere://x")
    assert Context._active is None


def test_pickling_is_refused(recorder: Context) -> None:
    for value in (recorder, recorder.range(3)):
        with pytest.raises(RuntimeError, match="an only be used on the driver"):
            pickle.dumps(value)


def test_a_forked_child_may_not_use_it(driver: RecordingDriver, recorder: Context) -> None:
    rdd = recorder.parallelize([1])
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            try:
                rdd.collect()
                answer = "ran"
            except RuntimeError as error:
                answer = str(error)
            recorder.stop()
            os.write(writer, f"{driver.stops} {answer}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    assert text.startswith("0 ")
    assert "belongs to process" in text


def test_cancelling_goes_to_the_driver(driver: RecordingDriver, recorder: Context) -> None:
    recorder.cancelJobGroup("g")
    recorder.cancelAllJobs()
    assert [group for group, _ in driver.cancelled] == ["g", ""]


def test_log_level(recorder: Context) -> None:
    before = logging.getLogger("quiver").level
    try:
        recorder.setLogLevel("error")
        assert logging.getLogger("quiver").level == logging.ERROR
        with pytest.raises(BadSetting, match="ALL, TRACE"):
            recorder.setLogLevel("loud")
    finally:
        logging.getLogger("quiver").setLevel(before)


def test_datasets_of_two_contexts_do_not_mix(driver: RecordingDriver, recorder: Context) -> None:
    old = recorder.parallelize([(1, 2)])
    recorder.stop()
    with Context("inline") as other:
        fresh = other.parallelize([(1, 2)])
        for combine in (fresh.union, fresh.zip, fresh.cartesian, fresh.join, lambda rdd: other.union([fresh, rdd])):
            with pytest.raises(ValueError, match="another Context"):
                combine(old)
    with pytest.raises(TypeError, match="added to an RDD only"):
        old + 1  # type: ignore[operator]


def test_importing_quiver_stays_light() -> None:
    heavy = ("pyarrow", "grpc", "fastapi", "pydantic", "numpy", "cloudpickle", "asyncio")
    code = f"import quiver, quiver.context, quiver.rdd, sys; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_everything_public_can_be_had() -> None:
    for name in quiver.__all__:
        assert getattr(quiver, name) is not None
    assert set(quiver.__all__) <= set(dir(quiver))
    with pytest.raises(AttributeError, match="no attribute 'Sesion'"):
        quiver.Sesion  # noqa: B018
