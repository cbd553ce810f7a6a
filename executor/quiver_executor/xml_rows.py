"""Rows as elements of one XML document, as Spark writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from quiver_proto.xml_records.writing import form_of, record_writer

_DECLARATION = 'version="1.0" encoding="UTF-8" standalone="yes"'


class XmlRows:
    """Options: Spark's, by names in small letters; `kind`, the rows' type in JSON; `zone`. A document without rows is empty."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._write = record_writer(json.loads(options["kind"]), form_of(options, options.get("zone", "UTC")), 1)
        self._root = options.get("roottag", "ROWS").strip("<> ")
        self._declaration = options.get("declaration", _DECLARATION)
        self._begun = False

    def rows(self, batch: Any) -> bytes:
        """The text of a batch's rows. Raises ValueError for names that no element can have."""
        rows = batch.to_pylist()
        if not rows:
            return b""
        written = "".join("\n" + self._write(row) for row in rows)
        if not self._begun:
            declared = f"<?xml {self._declaration}?>\n" if self._declaration else ""
            written = f"{declared}<{self._root}>{written}"
        self._begun = True
        return written.encode()

    def end(self) -> bytes:
        """What ends the document."""
        return f"\n</{self._root.split()[0]}>".encode() if self._begun else b""
