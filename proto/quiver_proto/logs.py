"""Readable logs: one line an entry, `time level component message key=value`, or one JSON object a line. Secrets never appear."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, TextIO

from quiver_proto.secret_texts import without_parameters

_FIELDS = "quiver_fields"
_secrets: set[str] = set()


class Log:
    """A logger whose entries carry fields: `log.info("node registered", node=node_id, cores=4)`."""

    def __init__(self, component: str) -> None:
        self._logger = logging.getLogger(component if component.startswith("quiver") else f"quiver.{component}")

    def debug(self, message: str, **fields: Any) -> None:
        self._logger.debug(message, extra={_FIELDS: fields})

    def info(self, message: str, **fields: Any) -> None:
        self._logger.info(message, extra={_FIELDS: fields})

    def warning(self, message: str, **fields: Any) -> None:
        self._logger.warning(message, extra={_FIELDS: fields})

    def error(self, message: str, **fields: Any) -> None:
        self._logger.error(message, extra={_FIELDS: fields})

    def exception(self, message: str, **fields: Any) -> None:
        """With the traceback of the exception that is being handled."""
        self._logger.error(message, exc_info=True, extra={_FIELDS: fields})


def keep_secret(text: str) -> None:
    """From now on this text is written as `***` in every log entry of this process."""
    if text:
        _secrets.add(text)


def redacted(text: str) -> str:
    """`text` without the secrets that `keep_secret` was told, and without values of `token=`, `secret=`, `signature=` and their like."""
    for secret in _secrets:
        text = text.replace(secret, "***")
    return without_parameters(text, "***")


class TextFormat(logging.Formatter):
    """`2026-11-21 06:35:45.123 INFO  manager: node registered node=node-a-1f2e3d cores=4`"""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        fields = "".join(f" {key}={_value(value)}" for key, value in getattr(record, _FIELDS, {}).items())
        line = f"{at}.{int(record.msecs):03d} {record.levelname:<7} {_component(record)}: {record.getMessage()}{fields}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return redacted(line)


class JsonFormat(logging.Formatter):
    """One object: `at` (Unix time), `level`, `component`, `message`, the entry's own fields, and `exception` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "at": round(record.created, 3),
            "level": record.levelname.lower(),
            "component": _component(record),
            "message": record.getMessage(),
        }
        entry |= {key: value for key, value in getattr(record, _FIELDS, {}).items() if key not in entry}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return redacted(json.dumps(entry, default=str))


def configure(level: str = "info", log_format: str = "text", stream: TextIO | None = None) -> None:
    """Send this process's log entries (ours, and warnings of others) to `stream` (stderr). Again: replaces what was configured."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormat() if log_format == "json" else TextFormat())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("quiver").setLevel(level.upper())


def _component(record: logging.LogRecord) -> str:
    return record.name.removeprefix("quiver.")


def _value(value: Any) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or any(c.isspace() or c in '"=' for c in text) else text
