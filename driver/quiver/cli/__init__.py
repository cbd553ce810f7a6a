"""The command line: `quiver` and `driver`. Each subcommand is imported when it is called, so `--help` stays quick."""

from __future__ import annotations

from quiver.cli.entry import driver, main

__all__ = ["driver", "main"]
