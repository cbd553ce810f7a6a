"""The machine's time zone by name: what the session's is until it is set, and what naive datetimes of Python are of."""

from __future__ import annotations

import os
import re
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

OFFSET = re.compile(r"([+-])(\d\d?):?(\d\d)")


def local_zone() -> str:
    """A region such as Europe/Berlin; an offset such as +01:00 where the machine does not tell its region."""
    for name in (os.environ.get("TZ", "").removeprefix(":"), _linked(Path("/etc/localtime"))):
        if name and _is_region(name):
            return name
    offset = datetime.now().astimezone().strftime("%z")
    return "UTC" if offset == "+0000" else f"{offset[:3]}:{offset[3:5]}"


def _linked(path: Path) -> str:
    try:
        return str(path.resolve(strict=True)).partition("zoneinfo/")[2]
    except OSError:
        return ""


def _is_region(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def kernel_zone(name: str) -> str:
    """A zone as Spark's users write it (a region, +1:00, Z, GMT+2, UTC-05:30) as the kernel and zoneinfo take it. Raises ValueError."""
    found = OFFSET.fullmatch(re.sub(r"^(UTC|GMT|UT)(?=[+-])", "", name) + (":00" if re.fullmatch(r"(UTC|GMT|UT)?[+-]\d\d?", name) else ""))
    if found:
        if int(found[2]) > 18 or int(found[3]) > 59:
            raise ValueError(f"{name!r} is no offset: hours go to 18, minutes to 59")
        return f"{found[1]}{int(found[2]):02d}:{found[3]}"
    plain = "UTC" if name in ("Z", "UT", "UTC0", "GMT0") else name
    if not _is_region(plain):
        raise ValueError(f"{name!r} is no time zone")
    return plain


def clock(name: str) -> tzinfo | None:
    """The zone of that name, as datetimes take it; None for the empty name, which `astimezone` takes for the machine's own."""
    if not name:
        return None
    found = OFFSET.fullmatch(name)
    if found is None:
        return ZoneInfo(name)
    minutes = int(found[2]) * 60 + int(found[3])
    return timezone(timedelta(minutes=minutes if found[1] == "+" else -minutes))
