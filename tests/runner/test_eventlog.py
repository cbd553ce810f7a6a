import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from quiver.eventlog import EventLog
from quiver.redacting import redacted
from quiver_proto.events import (
    ApplicationEnded,
    JobEnded,
    JobStarted,
    OperatorsMeasured,
    QueryEnded,
    QueryPlanned,
    QueryStarted,
    StageEnded,
    TaskFailed,
    decode,
)


def test_events_are_written_by_the_scheduled_flush_in_order(tmp_path: Path) -> None:
    due: list[Callable[[], None]] = []
    log = EventLog(str(tmp_path), "app-1", lambda _, callback: due.append(callback), pytest.fail)
    log.append(JobEnded(1.0, 1, "succeeded"))
    log.append(ApplicationEnded(2.0))
    assert (tmp_path / "app-1.jsonl").read_text() == ""
    assert len(due) == 1
    due.pop()()
    events = [decode(line) for line in (tmp_path / "app-1.jsonl").read_text().splitlines()]
    assert events == [JobEnded(1.0, 1, "succeeded"), ApplicationEnded(2.0)]
    assert os.stat(log.path).st_mode & 0o777 == 0o600
    log.close()
    log.close()


def test_a_failing_disk_ends_the_log_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    log = EventLog(str(tmp_path), "app-1", None, said.append)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    log.append(ApplicationEnded(1.0))
    log.append(ApplicationEnded(2.0))
    assert len(said) == 1
    assert "No space left" in said[0]


def test_secrets_in_texts_are_not_written(tmp_path: Path) -> None:
    log = EventLog(str(tmp_path), "app-1", None, pytest.fail)
    text = "could not open postgresql://me:hidden@host/db, OPTIONS (password 'hidden', url '…?password=hidden&x=1')"
    one = [1]
    log.append(JobStarted(1.0, 1, "collect", "a.py:1", [], description=text))
    log.append(JobEnded(1.0, 1, "failed", text))
    log.append(StageEnded(1.0, 1, 0, "failed", text))
    log.append(TaskFailed(1.0, 1, 0, "e", 1, 0, 0, 1.0, "user", text, text))
    log.append(QueryStarted(1.0, 1, "collect", "a.py:1", [text], description=text))
    log.append(QueryPlanned(1.0, 1, text, text, text, "as one task"))
    log.append(QueryEnded(1.0, 1, "failed", error=text))
    log.append(OperatorsMeasured(1.0, 1, [0], [0], ["Filter"], [text], one, one, one, [1.0], [1.0], one, one, one))
    written = Path(log.path).read_text()
    assert "hidden" not in written
    assert written.count("x=1") == 12, "the rest of each is there"
    assert decode(written.splitlines()[1]) == JobEnded(1.0, 1, "failed", redacted(text))
    log.close()
