"""Hadoop's files of blocks, which its codecs of Snappy and LZ4 write, decompressed.

A block is its length, and what it became: one part or more, each with its length before it. Lengths are four bytes, the first the highest.
"""

from __future__ import annotations

import io
import struct
from typing import IO, Any, Final, cast

LZ4_FRAME: Final = b"\x04\x22\x4d\x18"
"""How a file begins that LZ4's own tools wrote: no file of blocks, whose length would be 64 MiB."""
_LARGEST: Final = 1 << 26
"""Bytes that a block has at most; Hadoop's have 256 KiB."""


def unframed(raw: IO[bytes], codec: str) -> IO[bytes]:
    """What the blocks held. `codec`: snappy or lz4_raw, as Arrow calls them. Reading raises OSError for what is no such file."""
    return cast(IO[bytes], io.BufferedReader(_Unframed(raw, codec), 1 << 18))


class _Unframed(io.RawIOBase):
    def __init__(self, raw: IO[bytes], codec: str) -> None:
        import pyarrow as pa

        self._raw = raw
        self._name = codec
        self._codec = pa.Codec(codec)
        self._left = 0
        """Bytes of the block that have not come yet."""
        self._held = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        while not self._held:
            if not self._left:
                length = self._raw.read(4)
                if not length:
                    return 0
                self._left = self._number(length)
                continue
            self._held = memoryview(self._part())
            self._left -= len(self._held)
        size = min(len(into), len(self._held))
        into[:size] = self._held[:size]
        self._held = self._held[size:]
        return size

    def _part(self) -> bytes:
        packed = self._exactly(self._number(self._exactly(4)))
        size = _snappy_size(packed) if self._name == "snappy" else _lz4_size(packed)
        if not 0 < size <= self._left:
            raise OSError(f"a block of compressed text has {size} bytes where at most {self._left} should be")
        return bytes(self._codec.decompress(packed, size, asbytes=True))

    def _exactly(self, size: int) -> bytes:
        found = self._raw.read(size)
        if len(found) != size:
            raise OSError("a block of compressed text ends too soon")
        return found

    def _number(self, four: bytes) -> int:
        if len(four) != 4 or (number := struct.unpack(">I", four)[0]) > _LARGEST:
            raise OSError("it is no file of blocks as Hadoop's codecs write them")
        return int(number)


def _snappy_size(packed: bytes) -> int:
    size = 0
    for place, byte in enumerate(packed[:5]):
        size |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            break
    return size


def _lz4_size(packed: bytes) -> int:
    """Bytes that a block of LZ4 becomes, which only its sequences tell."""
    at = size = 0
    try:
        while True:
            token = packed[at]
            literals, at = _length(packed, at + 1, token >> 4)
            size += literals
            at += literals
            if at >= len(packed):
                return size
            match, at = _length(packed, at + 2, token & 15)
            size += match + 4
    except IndexError:
        raise OSError("a block of LZ4 ends too soon") from None


def _length(packed: bytes, at: int, nibble: int) -> tuple[int, int]:
    """(a length, where what follows it is)."""
    length = nibble
    if nibble == 15:
        while True:
            more = packed[at]
            at += 1
            length += more
            if more != 255:
                break
    return length, at
