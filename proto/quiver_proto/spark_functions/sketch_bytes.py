"""Whether bytes are a sketch that the library of sketches may be given.

The library's C++ trusts counts and offsets that it reads: wrong ones write outside its memory and end the process. Here every one of them
is proved against the bytes there are and against what the library makes room for. Formats are those of Apache DataSketches, little-endian;
nothing here needs the library.
"""

from __future__ import annotations

import operator
import struct
import sys
from array import array
from itertools import islice, pairwise

MOST_ITEMS = 2**60
"""A KLL sketch, and all that become one, have fewer items: beyond it the library runs out of levels."""
PACKED_THETA = 4
"""The version (second byte) of theta sketches whose keys are packed."""
_HLL_TABLE = 40
_LIST, _SET, _TABLE = 0, 1, 2
_LIST_ROOM = 8
_EMPTY_HLL, _COMPACT_HLL = 4, 8
_HIGHEST_COUPON = 63
_EMPTY_KLL, _SORTED_KLL, _SINGLE_KLL = 1, 2, 4
_FULL_KLL = struct.Struct("<QHBB")
_EMPTY_THETA, _ORDERED_THETA = 4, 16
_MOST_THETA = 2**63 - 1


def _words(data: bytes, start: int, count: int, kind: str = "I") -> array[int]:
    """So many unsigned integers from `start` on, of four bytes ("I") or eight ("Q"); all have to be there."""
    words = array(kind)
    words.frombytes(data[start : start + count * words.itemsize])
    if sys.byteorder != "little":
        words.byteswap()
    return words


# ---- HyperLogLog ----


def is_hll(data: bytes) -> bool:
    """Is this a HyperLogLog sketch, compact or updatable?"""
    if len(data) < 8:
        return False
    ints, version, family, precision, _, _, _, mode = data[:8]
    if version != 1 or family != 7 or not 4 <= precision <= 21 or mode >> 4 or mode >> 2 == 3:
        return False
    if mode & 3 == _LIST:
        return ints == 2 and _is_hll_list(data)
    if mode & 3 == _SET:
        return ints == 3 and _is_hll_set(data)
    return mode & 3 == _TABLE and ints == 10 and _is_hll_table(data)


def _are_coupons(coupons: array[int]) -> bool:
    """Are these values above 0, of any place?"""
    return not coupons or min(coupons) >> 26 > 0


def _is_hll_list(data: bytes) -> bool:
    room, flags, count = data[4], data[5], data[6]
    kept = count if flags & _COMPACT_HLL else _LIST_ROOM
    if room > 3 or count > _LIST_ROOM or len(data) < 8 + 4 * kept or (flags & _EMPTY_HLL and count):
        return False
    return room == 3 and _are_coupons(_words(data, 8, count))


def _is_hll_set(data: bytes) -> bool:
    """Sets have room for 2**5 to 2**(precision - 3) coupons; of four places in a table three are taken at the most."""
    if len(data) < 12:
        return False
    precision, room, flags, count = data[3], data[4], data[5], int.from_bytes(data[8:12], "little")
    if precision <= 7 or not 5 <= room <= precision - 3 or count * 4 > 3 << room or flags & _EMPTY_HLL:
        return False
    kept = count if flags & _COMPACT_HLL else 1 << room
    if len(data) < 12 + 4 * kept:
        return False
    coupons = _words(data, 12, kept)
    if not flags & _COMPACT_HLL:
        coupons = array("I", filter(None, coupons))
    return len(set(coupons)) == count and _are_coupons(coupons)


def _is_hll_table(data: bytes) -> bool:
    if len(data) < _HLL_TABLE:
        return False
    precision, room, flags, lowest, kind = data[3], data[4], data[5], data[6], data[7] >> 2
    places = 1 << precision
    sums = struct.unpack_from("<3d", data, 8)
    at_lowest, exceptions = struct.unpack_from("<2I", data, 32)
    if not all(0 <= number < 2**63 for number in sums) or not 0 < sums[1] + sums[2] <= places or at_lowest > places or flags & _EMPTY_HLL:
        return False
    if kind == 0:
        return _is_table_of_fours(data, lowest, room, exceptions)
    size = places if kind == 2 else places * 3 // 4 + 1
    if lowest or exceptions or len(data) < _HLL_TABLE + size:
        return False
    return kind == 1 or max(memoryview(data)[_HLL_TABLE : _HLL_TABLE + size]) <= _HIGHEST_COUPON


def _is_table_of_fours(data: bytes, lowest: int, room: int, exceptions: int) -> bool:
    """Four bits for each place: how far above `lowest` its value is; 15 where the value stands among the exceptions."""
    places, start = 1 << data[3], _HLL_TABLE + (1 << data[3] - 1)
    if lowest + 14 > _HIGHEST_COUPON or len(data) < start:
        return False
    table = data[_HLL_TABLE:start]
    above = {2 * at + high for at, pair in enumerate(table) for high, part in enumerate((pair & 15, pair >> 4)) if part == 15}
    if exceptions != len(above):
        return False
    if not exceptions:
        return True
    kept = exceptions
    if not data[5] & _COMPACT_HLL:
        if not 2 <= room <= data[3]:
            return False
        kept = 1 << room
    if exceptions > kept or len(data) < start + 4 * kept:
        return False
    found = array("I", filter(None, _words(data, start, kept)))
    return len(found) == exceptions and _are_coupons(found) and {coupon & (1 << 26) - 1 & places - 1 for coupon in found} == above


# ---- KLL ----


def _level_room(k: int, depth: int) -> int:
    """How many items a level has room for which has so many levels above it."""

    def shrunk(size: int, times: int) -> int:
        return ((size << 1 << times) // int(3**times) + 1) >> 1

    if depth <= 30:
        return max(8, shrunk(k, depth))
    return max(8, shrunk(shrunk(k, depth // 2), depth - depth // 2))


def is_kll(data: bytes, form: str) -> bool:
    """Is this a KLL sketch of items of this form ("q", "d" or "f", as struct has them)?"""
    if len(data) < 8:
        return False
    ints, version, family, flags, k, least, _ = struct.unpack_from("<4BH2B", data)
    size = struct.calcsize(form)
    if family != 15 or k < 8 or least != 8 or flags & ~(_EMPTY_KLL | _SORTED_KLL | _SINGLE_KLL):
        return False
    if flags & _EMPTY_KLL:
        return (ints, version, len(data)) == (2, 1, 8) and not flags & _SINGLE_KLL
    if flags & _SINGLE_KLL:
        if (ints, version, len(data)) != (2, 2, 8 + size):
            return False
        (item,) = struct.unpack_from(f"<{form}", data, 8)
        return bool(item == item)
    return (ints, version) == (5, 1) and _is_full_kll(data, form, size, k, bool(flags & _SORTED_KLL))


def _is_full_kll(data: bytes, form: str, size: int, k: int, is_sorted: bool) -> bool:
    """Each level's items stand from one offset to the next; an item stands for 2**level, and all of them for the count of items."""
    if len(data) < 20:
        return False
    count, least_k, levels, _ = _FULL_KLL.unpack_from(data, 8)
    start = 20 + 4 * levels
    if not 0 < count < MOST_ITEMS or not 8 <= least_k <= k or not 1 <= levels <= 60 or len(data) < start:
        return False
    offsets = [*_words(data, 20, levels), sum(_level_room(k, depth) for depth in range(levels))]
    sizes = [end - begin for begin, end in pairwise(offsets)]
    if min(sizes) < 0 or not sizes[-1] or sum(size << level for level, size in enumerate(sizes)) != count:
        return False
    if len(data) != start + size * (2 + sum(sizes)):
        return False
    low, high, *items = struct.unpack_from(f"<{2 + sum(sizes)}{form}", data, start)
    # Numbers that are none compare as no other.
    if not low <= high or not all(low <= item <= high for item in items):
        return False
    rest = iter(items)
    kept = [list(islice(rest, size)) for size in sizes]
    return all(all(map(operator.le, level, level[1:])) for level in (kept if is_sorted else kept[1:]))


# ---- theta and tuple ----


def are_keys(keys: list[int], highest: int, is_ordered: bool) -> bool:
    """Are these distinct hashes from 1 up to before `highest`, rising if they are said to?"""
    if not keys:
        return True
    if min(keys) == 0 or max(keys) >= highest:
        return False
    if is_ordered:
        return all(map(operator.lt, keys, keys[1:]))
    return len(set(keys)) == len(keys)


def is_empty_theta(data: bytes) -> bool:
    """Does a sound sketch of keys say that it has had none?"""
    return data[5] & _EMPTY_THETA != 0


def _is_keyed(data: bytes, ints: int, stride: int) -> bool:
    """Is what follows the head so many entries, each a key first of all?"""
    if is_empty_theta(data):
        return True
    if len(data) < 8 * ints:
        return False
    count = int.from_bytes(data[8:12], "little") if ints > 1 else 1
    highest = int.from_bytes(data[16:24], "little") if ints > 2 else _MOST_THETA
    if not 0 < highest <= _MOST_THETA or len(data) < 8 * ints + count * stride:
        return False
    body = data[8 * ints : 8 * ints + count * stride]
    keys = [key for (key,) in struct.Struct(f"<Q{stride - 8}x").iter_unpack(body)]
    return are_keys(keys, highest, bool(data[5] & _ORDERED_THETA))


def is_theta(data: bytes) -> bool:
    """Is this a compact theta sketch? If it is a packed one, its keys are still to be looked at once they are unpacked."""
    if len(data) < 8 or data[2] != 3:
        return False
    ints, version = data[:2]
    if version == 3:
        return 1 <= ints <= 3 and _is_keyed(data, ints, 8)
    bits, width = data[3:5]
    if version != PACKED_THETA or not 1 <= ints <= 2 or not 1 <= bits <= 63 or not 1 <= width <= 4 or len(data) < 8 * ints + width:
        return False
    count = int.from_bytes(data[8 * ints : 8 * ints + width], "little")
    return len(data) >= 8 * ints + width + (bits * count + 7) // 8


def is_tuple(data: bytes, summary: int) -> bool:
    """Is this a compact tuple sketch whose keys have so many bytes of summary each?"""
    return len(data) >= 8 and 1 <= data[0] <= 3 and data[1:4] == b"\3\x09\1" and _is_keyed(data, data[0], 8 + summary)
