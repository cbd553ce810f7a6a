"""Queries of long texts, many operands and many columns: what they cost grows with their size, not with a power of it."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from quiver import Context
from quiver.eventlog import LONGEST_TEXT, _without_secrets
from quiver.redacting import redacted
from quiver.sql import Session
from quiver.sql.scanning import shown
from quiver_proto.events import QueryPlanned


@pytest.fixture(scope="module")
def spark() -> Iterator[Session]:
    with Session(Context("inline", "test")) as session:
        yield session


def test_a_plan_with_a_long_word_is_shown_at_once() -> None:
    mirror = SimpleNamespace(files=[SimpleNamespace(path="/data/a file.parquet")])
    plan = f"s = {'x' * 3_000_000} [tmp/quiver-mirror-1/k=a/0.data:0..7, tmp/quiver-mirror-1/0.data]"
    told = shown(plan, {"quiver-mirror-1": mirror})  # type: ignore[dict-item]
    assert told.removeprefix(f"s = {'x' * 3_000_000} ") == "[data/a file.parquet:0..7, data/a file.parquet]"
    assert shown("quiver-mirror-2/0.data", {}) == "quiver-mirror-2/0.data"


def test_event_logs_get_the_beginning_of_long_texts() -> None:
    long = f"url = jdbc://u:secret@host {'a-' * LONGEST_TEXT}"
    event = _without_secrets(QueryPlanned(0.0, 1, long, "short", "", "here"))
    assert isinstance(event, QueryPlanned)
    assert len(event.analysed) < LONGEST_TEXT + 100
    assert "secret" not in event.analysed
    assert event.logical == "short"
    assert len(redacted(f"a://b {'a-' * 1_000_000}")) > 1_000_000
