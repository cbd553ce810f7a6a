"""Compressed text files, as Hadoop's codecs write them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import IO, Any, cast

_BLOCK = 64 << 10


def compressed(raw: IO[bytes], codec: str) -> IO[bytes]:
    """A file that writes to `raw` what is written to it: `codec` is gzip, bzip2, zstd, deflate, snappy, lz4, or "" for as it is.

    Its close() leaves `raw` open.
    """
    match codec:
        case "gzip":
            import gzip

            return cast(IO[bytes], gzip.GzipFile(fileobj=raw, mode="wb", mtime=0))
        case "bzip2":
            import bz2

            return cast(IO[bytes], bz2.BZ2File(raw, "wb"))
        case "zstd":
            import pyarrow as pa

            return cast(IO[bytes], pa.CompressedOutputStream(_Kept(raw), "zstd"))
        case "deflate":
            return cast(IO[bytes], _Deflated(raw))
        case "snappy" | "lz4":
            return cast(IO[bytes], _Blocks(raw, "snappy" if codec == "snappy" else "lz4_raw"))
        case _:
            return cast(IO[bytes], _Kept(raw))


class _Kept(io.RawIOBase):
    """Stays open when what writes through it is closed."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._raw.write(data)

    def tell(self) -> int:
        return self._raw.tell()


class _Deflated(_Kept):
    """Hadoop's DeflateCodec: one zlib stream."""

    def __init__(self, raw: IO[bytes]) -> None:
        super().__init__(raw)
        self._stream = zlib.compressobj()

    def write(self, data: Any) -> int:
        self._raw.write(self._stream.compress(data))
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._raw.write(self._stream.flush())
        super().close()


class _Blocks(_Kept):
    """Hadoop's block format: for each block its length, the length of what it became, and that."""

    def __init__(self, raw: IO[bytes], codec: str) -> None:
        import pyarrow as pa

        super().__init__(raw)
        self._codec = pa.Codec(codec)
        self._held = bytearray()

    def write(self, data: Any) -> int:
        self._held += data
        while len(self._held) >= _BLOCK:
            self._put(bytes(self._held[:_BLOCK]))
            del self._held[:_BLOCK]
        return len(data)

    def _put(self, block: bytes) -> None:
        packed = self._codec.compress(block, asbytes=True)
        self._raw.write(struct.pack(">II", len(block), len(packed)) + packed)

    def close(self) -> None:
        if not self.closed and self._held:
            self._put(bytes(self._held))
        super().close()
