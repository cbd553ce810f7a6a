"""What `quiver doctor` looks at. Each check is a pure function from observed facts to one finding."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from quiver_proto.units import format_bytes

MIB = 1 << 20
GIB = 1 << 30
OLDEST_PYTHON = (3, 11)
LEAST_DISK = GIB
LEAST_SHM = 128 * MIB
LEAST_MEMORY = 512 * MIB
LEAST_FILES = 1024
MOST_SKEW_S = 5.0


class Level(Enum):
    OK = "ok"
    NOTE = "note"
    """Worth knowing; works."""
    BROKEN = "broken"
    """Something will not work until it is mended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` was observed; `remedy` says what to do, empty when nothing is to be done."""

    check: str
    level: Level
    what: str
    remedy: str = ""


def check_python(version: tuple[int, int, int], implementation: str, in_venv: bool) -> Finding:
    text = f"{implementation} {'.'.join(map(str, version))}"
    if version[:2] < OLDEST_PYTHON:
        return Finding(
            "Python", Level.BROKEN, f"{text} is too old", "Install Python 3.11 or newer and make the virtual environment with it."
        )
    if implementation != "CPython":
        return Finding("Python", Level.NOTE, f"{text}: only CPython is tested", "Use CPython if something fails.")
    return Finding("Python", Level.OK, text + (" in a virtual environment" if in_venv else ""))


def check_requirement(requirement: str, installed: str | None, import_error: str) -> Finding:
    """`requirement` as in package metadata (`pyarrow>=24`); `installed` None when it is not; `import_error` empty when it imports."""
    name = requirement_name(requirement)
    reinstall = f"pip install '{requirement.split(';')[0].strip()}'"
    if installed is None:
        return Finding(name, Level.BROKEN, f"not installed ({requirement} is needed)", reinstall)
    if not satisfies(installed, requirement):
        return Finding(name, Level.BROKEN, f"{installed} is installed, {requirement} is needed", reinstall)
    if import_error:
        return Finding(name, Level.BROKEN, f"{installed} does not import: {import_error}", f"{reinstall} --force-reinstall")
    return Finding(name, Level.OK, installed)


def requirement_name(requirement: str) -> str:
    """`fastapi>=0.130` -> `fastapi`."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    return match[0] if match else requirement


def satisfies(installed: str, requirement: str) -> bool:
    """Whether a version meets a requirement's `>=`, `<`, `<=`, `>`, `==` and `!=` clauses, by the numbers of its release."""
    release = _release(installed)
    for operator, bound in re.findall(r"(>=|<=|==|!=|<|>)\s*([0-9][0-9.]*)", requirement.split(";")[0]):
        wanted = _release(bound)
        width = max(len(release), len(wanted))
        a, b = release + (0,) * (width - len(release)), wanted + (0,) * (width - len(wanted))
        holds = {">=": a >= b, "<=": a <= b, "==": a == b, "!=": a != b, "<": a < b, ">": a > b}[operator]
        if not holds:
            return False
    return True


def _release(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def check_port(port: int, purpose: str, free: bool, next_free: int | None, moves: bool) -> Finding:
    """`moves`: what uses the port takes the next free one by itself."""
    name = f"port {port}"
    if free:
        return Finding(name, Level.OK, f"free ({purpose})")
    if next_free is None:
        return Finding(name, Level.BROKEN, f"in use, and so are those after it ({purpose})", "End some of the programs that listen there.")
    if moves:
        return Finding(name, Level.OK, f"in use; {purpose} will take {next_free}")
    return Finding(name, Level.NOTE, f"in use ({purpose})", f"If that isn't Quiver's own, use another: --port {next_free}")


def check_directory(purpose: str, path: str, problem: str, free_bytes: int) -> Finding:
    """`problem` is why nothing can be written there; empty when it can."""
    if problem:
        return Finding(purpose, Level.BROKEN, f"{path}: {problem}", "Give a directory of your own with quiver.local.dir (or TMPDIR).")
    what = f"{path}: {format_bytes(free_bytes)} free"
    if free_bytes < LEAST_DISK:
        return Finding(purpose, Level.NOTE, what, "Shuffles may not fit. Free some space or set quiver.local.dir to a larger disk.")
    return Finding(purpose, Level.OK, what)


def check_memory(total_bytes: int, available_bytes: int, cgroup_limit: int | None) -> Finding:
    what = f"{format_bytes(available_bytes)} of {format_bytes(total_bytes)} available"
    usable = available_bytes
    if cgroup_limit is not None and cgroup_limit < total_bytes:
        what += f", limited to {format_bytes(cgroup_limit)} by this container or service"
        usable = min(usable, cgroup_limit)
    if usable < LEAST_MEMORY:
        return Finding("memory", Level.NOTE, what, "Executors will spill or be killed. End other programs, or raise the limit.")
    return Finding("memory", Level.OK, what)


def check_shm(size_bytes: int | None, free_bytes: int) -> Finding:
    """`size_bytes` None when there is no /dev/shm."""
    if size_bytes is None:
        return Finding(
            "/dev/shm", Level.NOTE, "there is none", "Quiver works without; libraries that share memory between processes may not."
        )
    what = f"{format_bytes(free_bytes)} of {format_bytes(size_bytes)} free"
    if size_bytes < LEAST_SHM:
        return Finding("/dev/shm", Level.NOTE, what, "That is Docker's small default; start the container with --shm-size=1g.")
    return Finding("/dev/shm", Level.OK, what)


def check_clock(monotonic: Sequence[float], unix_time: float, built_at: float, manager_skew_s: float | None) -> Finding:
    """`monotonic` are readings in the order in which they were taken; `manager_skew_s` our clock minus the manager's, None if not asked."""
    if any(later < earlier for earlier, later in itertools.pairwise(monotonic)):
        return Finding(
            "clock", Level.BROKEN, "the monotonic clock runs backwards", "Timeouts can't work: check the machine or its hypervisor."
        )
    if unix_time < built_at:
        return Finding(
            "clock", Level.BROKEN, "the date lies before this version of Quiver was made", "Set the clock (timedatectl set-ntp true)."
        )
    if manager_skew_s is not None and abs(manager_skew_s) > MOST_SKEW_S:
        side = "ahead of" if manager_skew_s > 0 else "behind"
        return Finding(
            "clock", Level.NOTE, f"{abs(manager_skew_s):.1f} s {side} the manager's", "Times in the UI will be off: set both by NTP."
        )
    return Finding("clock", Level.OK, "runs forward" + ("" if manager_skew_s is None else ", agrees with the manager's"))


def check_open_files(soft: int, hard: int) -> Finding:
    """Limits on open files; -1 means no limit."""
    what = f"up to {'any number' if soft < 0 else f'{soft:,}'}"
    if 0 <= soft < LEAST_FILES:
        most = "unlimited" if hard < 0 else str(hard)
        return Finding(
            "open files",
            Level.NOTE,
            what,
            f"A shuffle over many partitions needs more: ulimit -n {max(LEAST_FILES, hard) if hard >= 0 else 65536} (at most {most}).",
        )
    return Finding("open files", Level.OK, what)


def check_secret(path: str, mode: int | None, owner: int, user: int) -> Finding:
    """`mode` is None when there is no such file."""
    if mode is None:
        return Finding("secret", Level.OK, f"{path}: none yet; the first manager makes one")
    if owner not in (user, 0):
        return Finding("secret", Level.BROKEN, f"{path} belongs to another user (uid {owner})", f"Remove it, or: sudo chown {user} {path}")
    if mode & 0o077:
        return Finding(
            "secret",
            Level.BROKEN,
            f"{path} can be read by others (mode {mode & 0o777:04o})",
            f"chmod 600 {path}, and make a new secret if others use this machine.",
        )
    return Finding("secret", Level.OK, f"{path} (mode {mode & 0o777:04o})")


def check_manager(url: str, error: str, nodes: int, cores: int) -> Finding:
    """`error` is why it could not be asked; empty when it answered."""
    if error:
        return Finding("manager", Level.BROKEN, error)
    if nodes == 0:
        return Finding("manager", Level.NOTE, f"{url} answers, but has no nodes", f"Start some: executor --manager {url}")
    return Finding("manager", Level.OK, f"{url}: {nodes} node{'s' if nodes != 1 else ''}, {cores} cores")


def broken(findings: Sequence[Finding]) -> bool:
    return any(finding.level is Level.BROKEN for finding in findings)


def as_json(findings: Sequence[Finding]) -> Mapping[str, object]:
    """`{"ok": bool, "findings": [{check, level, what, remedy}]}`."""
    rows = [{"check": f.check, "level": f.level.value, "what": f.what, "remedy": f.remedy} for f in findings]
    return {"ok": not broken(findings), "findings": rows}


def as_text(findings: Sequence[Finding]) -> str:
    """One line a finding, its remedy below it."""
    width = max(len(finding.check) for finding in findings)
    marks = {Level.OK: "ok  ", Level.NOTE: "note", Level.BROKEN: "FAIL"}
    lines: list[str] = []
    for finding in findings:
        lines.append(f"{marks[finding.level]}  {finding.check.ljust(width)}  {finding.what}")
        if finding.remedy:
            lines.append(f"{'':6}{'':{width}}  → {finding.remedy}")
    return "\n".join(lines)
