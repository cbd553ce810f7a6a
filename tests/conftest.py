"""For every test: property tests that are the same each time, and no hang that lasts.

`--hypothesis-profile=explore` looks for new examples instead, ten times as many, and remembers those that fail.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys

import pytest
from hypothesis import HealthCheck, settings

HANG_LIMIT_S = 150.0
"""Of a teardown, and of the interpreter's end after the last test. A test itself has pytest-timeout's limit."""

_STDERR = pytest.StashKey[int]()

_SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("repeatable", derandomize=True, database=None, deadline=None, suppress_health_check=_SLOW)
settings.register_profile("explore", deadline=None, max_examples=1000, suppress_health_check=_SLOW)
settings.load_profile("repeatable")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_STDERR] = os.dup(sys.__stderr__.fileno() if sys.__stderr__ is not None else 2)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell that starts us in the background has Ctrl-C ignored; the programs that tests interrupt would inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """A teardown that hangs ends the run with the stacks of all threads. pytest's own timer is off after a failed test."""
    faulthandler.dump_traceback_later(HANG_LIMIT_S, exit=True, file=item.config.stash[_STDERR])


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """So does a thread that nobody joined, when the interpreter waits for it."""
    faulthandler.dump_traceback_later(HANG_LIMIT_S, exit=True, file=config.stash[_STDERR])
