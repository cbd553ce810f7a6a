"""RDD.pipe in a slot: records through a command's standard input and output."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiver_proto.errors import PipeFailed

if TYPE_CHECKING:
    from subprocess import Popen

_READ = 64 << 10
_RECORDS = 256
"""Records written at a time, fewer when they are large:"""
_CHARACTERS = 1 << 20


@dataclass(frozen=True, slots=True)
class Pipe:
    """Lines that `arguments` prints, given the records as lines. One process a partition, fed and read by the task's own thread."""

    command: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    check: bool

    def __call__(self, records: Iterator[Any]) -> Iterator[str]:
        from subprocess import PIPE, Popen

        process = Popen(self.arguments, env=dict(self.environment), stdin=PIPE, stdout=PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield from _lines(process.stdin.fileno(), process.stdout.fileno(), _as_lines(records), process)
            code = process.wait()
            if self.check and code:
                raise PipeFailed(self.command, code)
        finally:
            _end(process)


def _as_lines(records: Iterator[Any]) -> Iterator[bytes]:
    lines: list[str] = []
    size = 0
    for record in records:
        line = str(record).rstrip("\n") + "\n"
        lines.append(line)
        size += len(line)
        if len(lines) == _RECORDS or size >= _CHARACTERS:
            yield "".join(lines).encode()
            lines, size = [], 0
    if lines:
        yield "".join(lines).encode()


def _lines(stdin: int, stdout: int, pieces: Iterator[bytes], process: Popen[bytes]) -> Iterator[str]:
    """Reads whenever there is something to read, so neither side can block the other for good."""
    import selectors

    os.set_blocking(stdin, False)
    pending = memoryview(b"")
    partial = b""
    with selectors.DefaultSelector() as ready:
        ready.register(stdin, selectors.EVENT_WRITE)
        ready.register(stdout, selectors.EVENT_READ)
        while ready.get_map():
            for key, _ in ready.select():
                if key.fd == stdout:
                    data = os.read(stdout, _READ)
                    if not data:
                        ready.unregister(stdout)
                        continue
                    *whole, partial = (partial + data).split(b"\n")
                    for line in whole:
                        yield line.decode()
                    continue
                try:
                    pending = pending[os.write(stdin, pending) :] if pending else pending
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    # The command wants no more, as `head` does.
                    pieces, pending = iter(()), pending[:0]
                if not pending:
                    pending = memoryview(next(pieces, b""))
                if not pending:
                    ready.unregister(stdin)
                    assert process.stdin is not None
                    process.stdin.close()
    if partial:
        yield partial.decode()


def _end(process: Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None and not pipe.closed:
            pipe.close()
    if process.poll() is None:
        process.kill()
        process.wait()
