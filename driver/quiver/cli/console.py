"""What Quiver itself says while a program runs: a line on stderr, apart from the program's own output."""

from __future__ import annotations

import logging
import sys


class ConsoleHandler(logging.Handler):
    """`quiver: message` on stderr; nothing once the program has configured logging itself, which then gets the records."""

    def emit(self, record: logging.LogRecord) -> None:
        if not logging.getLogger().handlers:
            print(f"quiver: {record.getMessage()}", file=sys.stderr, flush=True)


def speak(quiet: bool) -> None:
    """From now on warnings are shown, and to a person at a terminal also what is worth knowing, first of all the UI's address.

    The address holds the UI's token, so it does not go into files and pipes by itself.
    """
    logger = logging.getLogger("quiver")
    logger.addHandler(ConsoleHandler())
    if sys.stderr.isatty() and not quiet and logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
