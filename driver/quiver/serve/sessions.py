"""Which clients there are and what is theirs. Pure: the time is an argument (monotonic seconds), nothing here waits or sends.

open ──▶ live ──(a beat within the timeout)──▶ live
           └──(none, or close)──▶ gone: its jobs are to be cancelled, its shuffles and cached blocks released
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from quiver.plan.selection import CancelledEarly, RefusedGroups
from quiver_proto.errors import ConnectionFailed, QuiverError
from quiver_proto.ids import JobId, ShuffleId

ID_RANGE = 1 << 40
"""How many ids a session has. The driver's own ids lie below the first session's."""


MOST_EARLY = 100


class SessionLost(ConnectionFailed):
    """The driver does not know the session: it expired, or the driver was started anew. What the client had there is gone."""

    def __init__(self, address: str) -> None:
        QuiverError.__init__(
            self,
            f"the driver at {address} does not know this session any more: nothing was heard from us for too long, or it was "
            "restarted. Create a new Context.",
            address,
        )


@dataclass(slots=True)
class Session:
    """`jobs` are those whose outcome is still held; `answered` those whose outcome was delivered and dropped: never run again."""

    session_id: str
    name: str
    user: str
    id_base: int
    last_seen: float
    jobs: set[JobId] = field(default_factory=set)
    answered: set[JobId] = field(default_factory=set)
    broadcasts: set[int] = field(default_factory=set)
    shuffles: set[ShuffleId] = field(default_factory=set)
    refused: RefusedGroups = field(default_factory=RefusedGroups)
    datasets: set[int] = field(default_factory=set)
    """Persisted datasets that its jobs used."""
    early: CancelledEarly = field(default_factory=lambda: CancelledEarly(MOST_EARLY))


class SessionTable:
    """Live sessions. An id range is never given twice, not even after its session has gone."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._live: dict[str, Session] = {}
        self._opened = 0

    def open(self, session_id: str, name: str, user: str, now: float) -> Session:
        """A new session, or the live one of that id (a repeated call)."""
        session = self._live.get(session_id)
        if session is None:
            self._opened += 1
            session = self._live[session_id] = Session(session_id, name, user, self._opened * ID_RANGE, now)
        session.last_seen = now
        return session

    def beat(self, session_id: str, now: float) -> bool:
        """False when there is no such session (any more)."""
        session = self._live.get(session_id)
        if session is None:
            return False
        session.last_seen = now
        return True

    def get(self, session_id: str, address: str) -> Session:
        """Raises SessionLost when it has gone."""
        session = self._live.get(session_id)
        if session is None:
            raise SessionLost(address)
        return session

    def owns(self, session: Session, number: int) -> bool:
        """Whether an id lies in the session's range."""
        return session.id_base <= number < session.id_base + ID_RANGE

    def close(self, session_id: str) -> Session | None:
        """The session that has gone by this; None when it had gone before."""
        return self._live.pop(session_id, None)

    def expire(self, now: float) -> Sequence[Session]:
        """Those that have gone because nothing was heard for `timeout_s`."""
        late = [session for session in self._live.values() if now - session.last_seen > self.timeout_s]
        for session in late:
            del self._live[session.session_id]
        return late

    def __len__(self) -> int:
        return len(self._live)
