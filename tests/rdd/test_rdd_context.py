"""Context: one at a time, stopped once, of one process."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
from typing import Any

import pytest
from recording import RecordingDriver

import quiver
from quiver import Conf, Context, SparkContext
from quiver.errors import BadSetting, ContextStopped, NeedsJVM, QuiverError


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
        old + 1


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


def test_the_context_takes_pysparks_arguments(driver: RecordingDriver) -> None:
    with Context("inline", "old", "/opt/spark", ["a.py", "b.zip"], {"A": "1"}, 2, None, Conf(loadDefaults=False)) as sc:
        conf = sc.getConf()
        assert (sc.sparkHome, conf.get("spark.submit.pyFiles"), sc.environment) == ("/opt/spark", "a.py,b.zip", {"A": "1"})
        assert [len(part) for part in _dealt(sc, 10, 3)] == [2, 4, 4]
        assert repr(sc) == "<SparkContext master=inline appName=old>"
        assert "old" in sc._repr_html_()
    with pytest.raises(NeedsJVM):
        Context("inline", gateway=object())
    assert Context._active is None


def _dealt(sc: Context, size: int, slices: int) -> list[Any]:
    import pickle

    return [pickle.loads(frame) for frame in sc.parallelize(list(range(size)), slices)._dataset.frames]


def test_system_properties_are_settings_of_the_next_context(monkeypatch: pytest.MonkeyPatch, driver: RecordingDriver) -> None:
    monkeypatch.setattr("quiver.context_facts.SYSTEM_PROPERTIES", properties := {})
    monkeypatch.setattr("quiver.conf.SYSTEM_PROPERTIES", properties)
    Context.setSystemProperty("spark.executor.memory", "3g")
    Context.setSystemProperty("other", "x")
    with pytest.raises(ValueError, match="512m"):
        Context.setSystemProperty("spark.executor.memory", "lots")
    assert (Context.getSystemProperty("other"), Context.getSystemProperty("none")) == ("x", None)
    with Context("inline", "one") as sc:
        assert sc.getConf().get("spark.executor.memory") == "3g"
        assert not sc.getConf().contains("other")
