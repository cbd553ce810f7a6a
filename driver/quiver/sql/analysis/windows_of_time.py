"""`window(time, "10 minutes", …)`: what it means for resolved operands. Pure."""

from __future__ import annotations

import re

from quiver.sql import types as t
from quiver.sql.analysis.pretty import pretty
from quiver.sql.analysis.typing import type_of
from quiver.sql.errors import AnalysisException
from quiver.sql.tree import expressions as e

_UNITS = {
    "microsecond": 1, "millisecond": 1000, "second": 10**6, "minute": 60 * 10**6, "hour": 3600 * 10**6, "day": 86400 * 10**6,
    "week": 7 * 86400 * 10**6,
}  # fmt: skip
_PART = re.compile(r"\s*([+-]?\d+)\s+([a-z]+?)s?\b", re.IGNORECASE)


def micros(text: str) -> int:
    """Of an interval such as "1 hour 30 minutes". Raises AnalysisException."""
    total, at = 0, 0
    text = re.sub(r"^\s*interval\b", "", text, flags=re.IGNORECASE).rstrip()
    while at < len(text):
        found = _PART.match(text, at)
        if found is None or found[2].lower() not in _UNITS:
            raise AnalysisException(f"Unable to parse the interval '{text}', of weeks and shorter units.", "CANNOT_PARSE_INTERVAL")
        total += int(found[1]) * _UNITS[found[2].lower()]
        at = found.end()
    return total


def sizes(call: e.Call) -> tuple[int, int, int]:
    """(length, slide, where the first begins) of an analysed or raw call, in microseconds. Raises AnalysisException."""
    given = [argument.value if isinstance(argument, e.Literal) else None for argument in call.args[1:]]
    if not given or any(not isinstance(value, str) for value in given):
        raise AnalysisException("the sizes of a window are constants, such as '10 minutes'.", "DATATYPE_MISMATCH.NON_FOLDABLE_INPUT")
    first, second, third = (*given, *(given[0], "0 seconds")[len(given) - 1 :])[:3]
    length, slide, start = micros(str(first)), micros(str(second)), micros(str(third))
    if length <= 0 or slide <= 0 or slide > length or abs(start) >= slide:
        raise AnalysisException(
            f"a window of {length} microseconds that slides by {slide} from {start}: sizes are positive, the slide is not longer than the "
            "window, and the start is shorter than the slide.",
            "DATATYPE_MISMATCH.PARAMETER_CONSTRAINT_VIOLATION",
        )
    return length, slide, start


def is_sliding(node: e.Expression) -> bool:
    """Whether it is a call of `window` whose windows overlap."""
    if not (isinstance(node, e.Call) and node.name == "window" and len(node.args) > 1):
        return False
    length, slide, _ = sizes(node)
    return slide < length


def windowed(call: e.Call) -> e.Expression:
    """The struct of start and end; of windows that overlap the latest."""
    length, slide, start = sizes(call)
    moment = _moment(call)
    begin = e.Call("window_start", (moment, _long(slide), _long(start)))
    end = e.Call("window_start", (moment, _long(slide), _long(start), _long(length)))
    return e.StructOf(("start", "end"), (begin, end))


def sliding(call: e.Call) -> e.Expression:
    """The array of all windows that a row is in."""
    length, slide, start = sizes(call)
    moment = _moment(call)
    windows = []
    for back in range(-(-length // slide)):
        begin = e.Call("window_start", (moment, _long(slide), _long(start), _long(-back * slide)))
        end = e.Call("window_start", (moment, _long(slide), _long(start), _long(length - back * slide)))
        inside = e.Call(">", (end, moment))
        windows.append(e.Case(((inside, e.StructOf(("start", "end"), (begin, end))),)))
    return e.Call("array_compact", (e.Call("array", tuple(windows)),))


def last_moment(call: e.Call) -> e.Expression:
    """What `window_time` of a window is."""
    (window,) = call.args
    if not isinstance(type_of(window), t.StructType):
        raise AnalysisException(f'window_time takes a window, not "{pretty(window)}".', "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE")
    return e.Call("window_start", (e.Member(window, "end"), _long(1), _long(0), _long(-1)))


def _moment(call: e.Call) -> e.Expression:
    moment = call.args[0]
    kind = type_of(moment)
    if isinstance(kind, t.StructType):  # Of windows of windows.
        return e.Call("window_start", (e.Member(moment, "end"), _long(1), _long(0), _long(-1)))
    if isinstance(kind, t.TimestampNTZType | t.TimestampType):
        return moment
    if isinstance(kind, t.DateType | t.StringType):
        return e.Cast(moment, t.TimestampType(), zone=call.zone)
    raise AnalysisException(
        f'Cannot resolve "window" due to data type mismatch: parameter 1 requires "TIMESTAMP", however it has the type '
        f'"{kind.simpleString().upper()}".',
        "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
    )


def _long(value: int) -> e.Literal:
    return e.Literal(value, t.LongType())
