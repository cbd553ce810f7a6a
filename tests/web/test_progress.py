"""The terminal's progress bars, as text and as a terminal shows them."""

from __future__ import annotations

import io
import logging

import pytest

from quiver.progress import ASCII, FIRST_SEEN_AFTER_S, ConsoleProgress, StageProgress, render


def stage(number: int = 3, done: int = 5, running: int = 2, failed: int = 0, width: int = 16, name: str = "map at a.py:1") -> StageProgress:
    return StageProgress(number, name, done, running, failed, width)


class Screen:
    """What a terminal would show after these writes: cursor movement, erasing and colours as ConsoleProgress uses them."""

    def __init__(self) -> None:
        self.lines = [""]
        self.row = 0

    def feed(self, text: str) -> None:
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                end = at + 2
                while not text[end].isalpha():
                    end += 1
                match text[end]:
                    case "K":
                        self.lines[self.row] = ""
                    case "A":
                        self.row -= 1
                    case "m":
                        pass
                    case other:
                        raise AssertionError(f"unknown escape {other}")
                at = end + 1
                continue
            if text[at] == "\n":
                self.row += 1
                if self.row == len(self.lines):
                    self.lines.append("")
            elif text[at] != "\r":
                self.lines[self.row] += text[at]
            at += 1


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("width", [20, 33, 60, 79, 119, 300])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    stages = [stage(n, name="a name that is quite long at some_module.py:123" * 2, failed=n, width=10**n) for n in range(1, 6)]
    lines = render(stages, width).split("\n")
    assert len(lines) == 4
    assert lines[-1] == "and 2 more stages"
    assert all(0 < len(line) <= width for line in lines)


def test_a_line_tells_the_counts_and_the_share() -> None:
    text = render([stage(failed=1)], 119)
    assert text.startswith("Stage 3  map at a.py:1  ━")
    assert text.endswith(" 31%  5/16, 2 running, 1 failed")


def test_nothing_to_show() -> None:
    assert render([], 80) == ""
    assert render([stage()], 10) == ""
    assert "100%" in render([stage(done=0, width=0)], 80)


def test_names_from_users_cannot_move_the_cursor() -> None:
    assert "\x1b" not in render([stage(name="x\x1b[2Jy\nz")], 119)
    assert "\n" not in render([stage(name="x\x1b[2Jy\nz")], 119)


def test_ascii_terminals() -> None:
    assert render([stage(name="long" * 40)], 79, ASCII).isascii()


def test_it_waits_draws_and_leaves_no_trace() -> None:
    clock, stream, screen = Clock(), io.StringIO(), Screen()
    progress = ConsoleProgress(stream, clock, lambda: 100)
    progress.update([stage()])
    assert stream.getvalue() == ""
    clock.now += FIRST_SEEN_AFTER_S
    progress.update([stage(1), stage(2)])
    clock.now += 0.2
    progress.update([stage(1), stage(2), stage(3, name="third")])
    screen.feed(stream.getvalue())
    assert [line[:7] for line in screen.lines] == ["Stage 1", "Stage 2", "Stage 3"]
    progress.clear()
    progress.clear()
    assert not logging.getLogger("quiver.driver").filters
    screen = Screen()
    screen.feed(stream.getvalue())
    assert not any(screen.lines)
    assert screen.row == 0


def test_bars_make_way_for_log_entries(caplog: pytest.LogCaptureFixture) -> None:
    clock, stream = Clock(), io.StringIO()
    progress = ConsoleProgress(stream, clock, lambda: 100)
    progress.update([stage()])
    clock.now += 1
    progress.update([stage()])
    logging.getLogger("quiver.driver").warning("something to tell")
    screen = Screen()
    screen.feed(stream.getvalue())
    assert not any(screen.lines)
    clock.now += 0.2
    progress.update([stage()])
    screen.feed(stream.getvalue())
    assert any("Stage 3" in line for line in screen.lines)


def test_the_next_job_waits_again() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = ConsoleProgress(stream, clock, lambda: 100)
    progress.update([stage()])
    clock.now += 60
    progress.update([stage()])
    assert stream.getvalue() == ""


def test_a_closed_stream_is_left_alone() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = ConsoleProgress(stream, clock, lambda: 100)
    progress.update([stage()])
    stream.close()
    clock.now += 1
    progress.update([stage()])
    progress.clear()
