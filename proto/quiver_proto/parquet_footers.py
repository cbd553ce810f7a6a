"""What identifies a Parquet file's footer: who relies on what it tells of values must know that it is still the same."""

from __future__ import annotations

import os
import zlib

_TAIL = 8
"""Bytes: the footer's length, and the format's name."""
_NAMES = (b"PAR1", b"PARE")


def footer_digest(path: str) -> int:
    """A number other than 0 that is another one, but for accidents as rare as a CRC-32's, when the footer is.

    Unlike times it is the same for copies of a file, and another one where a program gives a rewritten file its old time.
    Raises OSError, and ValueError where there is no footer.
    """
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        tail = file.read(_TAIL)
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] not in _NAMES or length + _TAIL > size:
            raise ValueError(f"{path} is not a Parquet file")
        file.seek(size - _TAIL - length)
        return zlib.crc32(file.read(length)) | 1 << 32
