"""HyperLogLog: how many different values there are, in a few kilobytes.

Flajolet, Fusy, Gandouet, Meunier (2007), with 64-bit hashes and the estimator of Ertl (2017, "New cardinality estimation algorithms
for HyperLogLog sketches"), which needs no correction tables and is unbiased from a handful of values to more than there can be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from quiver_proto.hashing import portable_hash

SMALLEST = 4
"""Bits of a hash that choose a register, at least."""
_BITS = 64
_MASK = (1 << _BITS) - 1
_AT_ONCE = 65536
Registers = dict[int, int]
"""Register -> the longest run of zero bits seen there, plus one. A register that saw nothing is not in it."""


def precision(relative_sd: float) -> int:
    """Bits that choose a register, so that the estimate's standard deviation is about `relative_sd` of it."""
    return max(SMALLEST, math.ceil(2.0 * math.log2(1.054 / relative_sd)))


@dataclass(frozen=True, slots=True)
class Sketch:
    """A partition's registers."""

    bits: int

    def __call__(self, records: Iterator[Any]) -> Registers:
        registers: Registers = {}
        rest = _BITS - self.bits
        low = (1 << rest) - 1
        while hashes := set(map(portable_hash, islice(records, _AT_ONCE))):
            for number in hashes:
                mixed = _mixed(number)
                index = mixed >> rest
                rank = rest + 1 - (mixed & low).bit_length()
                if rank > registers.get(index, 0):
                    registers[index] = rank
        return registers


def _mixed(number: int) -> int:
    """The finaliser of splitmix64: Python's hash of an int is the int."""
    number = (number & _MASK) + 0x9E3779B97F4A7C15 & _MASK
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    number = (number ^ number >> 27) * 0x94D049BB133111EB & _MASK
    return number ^ number >> 31


def merged(first: Registers, second: Mapping[int, int]) -> Registers:
    """`first`, with what both have seen."""
    for index, rank in second.items():
        if rank > first.get(index, 0):
            first[index] = rank
    return first


def estimate(registers: Mapping[int, int], bits: int) -> float:
    """How many different values were seen."""
    width, most = 1 << bits, _BITS - bits
    counts = [0] * (most + 2)
    for rank in registers.values():
        counts[rank] += 1
    counts[0] = width - len(registers)
    total = width * _tau(1.0 - counts[most + 1] / width)
    for rank in range(most, 0, -1):
        total = 0.5 * (total + counts[rank])
    total += width * _sigma(counts[0] / width)
    return width * width / (2.0 * math.log(2.0)) / total if math.isfinite(total) else 0.0


def _sigma(share: float) -> float:
    if share == 1.0:
        return math.inf
    term, weight, total, before = share, 1.0, share, -1.0
    while total != before:
        term *= term
        before = total
        total += term * weight
        weight += weight
    return total


def _tau(share: float) -> float:
    if share in (0.0, 1.0):
        return 0.0
    term, weight, total, before = share, 1.0, 1.0 - share, -1.0
    while total != before:
        term = math.sqrt(term)
        before = total
        weight *= 0.5
        total -= (1.0 - term) ** 2 * weight
    return total / 3.0
