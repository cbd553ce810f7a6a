"""Log lines: readable, parseable, without secrets."""

from __future__ import annotations

import io
import json
import logging

import pytest

from quiver_proto import logs


@pytest.fixture
def written():
    """Configures logging into a buffer, and puts back what was there."""
    root, quiver = logging.getLogger(), logging.getLogger("quiver")
    before = list(root.handlers), root.level, quiver.level
    buffer = io.StringIO()

    def configure(level="info", log_format="text"):
        logs.configure(level, log_format, buffer)
        return buffer

    yield configure
    root.handlers[:], root.level = before[0], before[1]
    quiver.setLevel(before[2])
    logs._secrets.clear()


def test_a_line_for_people(written):
    buffer = written()
    logs.Log("manager").info("node registered", node="node-a", cores=4, reason="it is new", empty="")
    line = buffer.getvalue()
    assert line.endswith(' INFO    manager: node registered node=node-a cores=4 reason="it is new" empty=""\n')
    assert line[:4].isdigit()


def test_an_object_for_machines(written):
    buffer = written(log_format="json")
    logs.Log("manager.nodes").warning("slow", node="node-a", after_s=1.5)
    entry = json.loads(buffer.getvalue())
    assert entry.pop("at") > 1_700_000_000
    assert entry == {"level": "warning", "component": "manager.nodes", "message": "slow", "node": "node-a", "after_s": 1.5}


def test_the_level_holds(written):
    buffer = written(level="warning")
    logs.Log("manager").info("hidden")
    logs.Log("manager").error("seen")
    assert "hidden" not in buffer.getvalue()
    assert "seen" in buffer.getvalue()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_secret_is_never_written_not_even_in_a_traceback(written, log_format):
    buffer = written(log_format=log_format)
    logs.keep_secret("sesame-open-1234")
    log = logs.Log("manager")
    log.info("the secret is sesame-open-1234", value="sesame-open-1234", url="http://h:1/?token=abc&x=1")
    try:
        raise ValueError("bad sesame-open-1234")
    except ValueError:
        log.exception("failed")
    assert "sesame-open-1234" not in buffer.getvalue()
    assert "token=abc" not in buffer.getvalue()
    assert "ValueError: bad ***" in buffer.getvalue()


def test_configuring_again_does_not_write_twice(written):
    written()
    buffer = written()
    logs.Log("manager").info("once")
    assert buffer.getvalue().count("once") == 1
