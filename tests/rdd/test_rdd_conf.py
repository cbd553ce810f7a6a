"""Conf: what is accepted, refused, warned about, and where values come from."""

from __future__ import annotations

import logging

import pytest

from quiver import Conf, SparkConf
from quiver.conf import KEYS, documentation
from quiver_proto.errors import BadMemoryString, BadSetting


def conf() -> Conf:
    return Conf(loadDefaults=False)


def test_setters_chain_and_getters_answer() -> None:
    made = conf().setMaster("local[3]").setAppName("a").set("spark.ui.enabled", False).setIfMissing("spark.app.name", "b")
    made.setAll([("spark.task.cpus", 2)]).setExecutorEnv("LANG", "C").setExecutorEnv(pairs=[("A", "1")])
    assert made.get("spark.master") == "local[3]"
    assert made.get("spark.app.name") == "a"
    assert made.get("spark.ui.enabled") == "false"
    assert made.get("spark.task.cpus") == "2"
    assert made.get("spark.executorEnv.LANG") == "C"
    assert made.get("spark.cores.max") is None
    assert made.get("spark.cores.max", "7") == "7"
    assert made.contains("spark.master")
    assert not made.contains("spark.cores.max")
    assert made.getAll()[0] == ("spark.master", "local[3]")
    assert made.toDebugString().splitlines()[0] == "spark.app.name=a"
    assert SparkConf is Conf


def test_two_names_of_a_key_mean_the_same() -> None:
    made = conf().set("spark.driver.maxResultSize", "2g")
    assert made.get("quiver.driver.maxResultSize") == "2g"
    made.set("quiver.driver.maxResultSize", "3g")
    assert made.get("quiver.driver.maxResultSize") == "3g"
    assert conf().set("quiver.eventLog.dir", "/x").get("spark.eventLog.dir") == "/x"


def test_an_unknown_quiver_key_is_refused_with_the_likely_one() -> None:
    with pytest.raises(BadSetting, match=r"did you mean quiver\.local\.quota\?"):
        conf().set("quiver.local.qouta", "1g")
    with pytest.raises(BadSetting, match=r"known keys: .*quiver\.local\.dir"):
        conf().set("quiver.zzzzzzzzzzzz", "1")


def test_an_unknown_spark_key_is_kept_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "quiver.conf"):
        made = conf().set("spark.shuffle.sort.bypassMergeThreshold", 8)
    assert made.get("spark.shuffle.sort.bypassMergeThreshold") == "8"
    assert "spark.shuffle.sort.bypassMergeThreshold has no meaning" in caplog.text


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("spark.executor.memory", "lots", BadMemoryString),
        ("spark.executor.memory", "0", BadMemoryString),
        ("spark.executor.cores", "0", BadSetting),
        ("spark.executor.cores", "two", BadSetting),
        ("spark.locality.wait", "soon", BadSetting),
        ("spark.ui.enabled", "maybe", BadSetting),
        ("spark.ui.port", "-1", BadSetting),
    ],
)
def test_bad_values_are_refused_where_they_are_set(key: str, value: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=key.replace(".", r"\.")):
        conf().set(key, value)


def test_environment_gives_defaults() -> None:
    made = Conf(
        environ={
            "QUIVER_CONF_JSON": '{"spark.executor.memory": "2g", "spark.master": "local[1]"}',
            "QUIVER_CONF_SPARK_EXECUTOR_CORES": "3",
            "QUIVER_CONF_QUIVER_LOCAL_DIR": "/fast",
            "QUIVER_MASTER": "local[5]",
            "QUIVER_APP_NAME": "from-env",
            "HOME": "/root",
        }
    )
    assert dict(made.getAll()) == {
        "spark.executor.memory": "2g",
        "spark.master": "local[5]",
        "spark.executor.cores": "3",
        "quiver.local.dir": "/fast",
        "spark.app.name": "from-env",
    }
    assert Conf(loadDefaults=False, environ={"QUIVER_MASTER": "inline"}).getAll() == []


def test_bad_environment_is_named() -> None:
    with pytest.raises(BadSetting, match="QUIVER_CONF_JSON"):
        Conf(environ={"QUIVER_CONF_JSON": "{"})
    with pytest.raises(BadSetting, match="QUIVER_CONF_JSON"):
        Conf(environ={"QUIVER_CONF_JSON": "[1]"})
    with pytest.raises(BadSetting, match="did you mean QUIVER_CONF_SPARK_UI_PORT"):
        Conf(environ={"QUIVER_CONF_SPARK_UI_PROT": "1"})


def test_a_copy_is_independent() -> None:
    first = conf().setAppName("a")
    first.copy().setAppName("b")
    assert first.get("spark.app.name") == "a"


def test_every_default_passes_its_own_check() -> None:
    for key in KEYS:
        if key.default:
            conf().set(key.name, key.default)
    assert all(f"`{key.name}`" in documentation() for key in KEYS)
