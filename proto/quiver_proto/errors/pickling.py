"""What can't be sent between processes."""

from __future__ import annotations

import pickle

from quiver_proto.errors.base import QuiverError
from quiver_proto.errors.data import DataError


class UnpicklableClosure(QuiverError, pickle.PicklingError):
    """Found on the driver, before anything is sent. `culprit` is the path to the value, e.g. `f.closure.self.client._lock`."""

    def __init__(self, operator: str, call_site: str, culprit: str, problem: str) -> None:
        super().__init__(
            f"the function given to {operator} ({call_site}) can't be sent to executors: {culprit} {problem}. "
            "Create it inside the function, or pass only the plain values that it needs.",
            operator,
            call_site,
            culprit,
            problem,
        )


class DriverObjectInClosure(UnpicklableClosure, RuntimeError):
    """A function that runs on executors refers to an RDD or a Context. `kind` says to which."""

    def __init__(self, operator: str, call_site: str, culprit: str, kind: str) -> None:
        article = "an" if kind[:1] in "AEIOR" else "a"
        advice = (
            "Join or cogroup the two datasets, or collect() the small one first and refer to the list."
            if kind == "RDD"
            else "Refer to plain values; start jobs only from the driver."
        )
        QuiverError.__init__(
            self,
            f"the function given to {operator} ({call_site}) can't be sent to executors: {culprit} is {article} {kind}. "
            f"It appears that you are attempting to reference {article} {kind} from a function that runs on executors; "
            f"{article} {kind} can only be used on the driver. {advice}",
            operator,
            call_site,
            culprit,
            kind,
        )


class UnpicklableRecord(DataError, pickle.PicklingError):
    """A record given to parallelize can't be sent. `culprit` is the path to the value, e.g. `records[3].lock`."""

    def __init__(self, call_site: str, culprit: str, problem: str) -> None:
        super().__init__(
            f"{call_site}: {culprit} {problem}, so the records can't be sent to executors. Parallelize plain values and create it there.",
            call_site,
            culprit,
            problem,
        )


class UnpicklableBroadcast(DataError, pickle.PicklingError):
    """A value given to broadcast can't be sent. `culprit` is the path to what is to blame, e.g. `value['lock']`."""

    def __init__(self, call_site: str, culprit: str, problem: str) -> None:
        super().__init__(
            f"Could not serialize broadcast ({call_site}): {culprit} {problem}. Broadcast plain values; collect() a dataset first.",
            call_site,
            culprit,
            problem,
        )


class UnpicklableOutput(DataError, pickle.PicklingError):
    """What a task made can't leave its process."""

    def __init__(self, operator: str, what: str, problem: str) -> None:
        super().__init__(
            f"{operator}: {what} can't be pickled ({problem}), so it can't leave the slot that made it. Return plain values.",
            operator,
            what,
            problem,
        )
