"""Each check judges facts; the facts are given here."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from quiver.cli import checks, observe
from quiver.cli.checks import GIB, MIB, Finding, Level
from quiver.cli.doctor import doctor, examine


def test_python_too_old_is_broken() -> None:
    finding = checks.check_python((3, 10, 4), "CPython", True)
    assert finding.level is Level.BROKEN
    assert "3.10.4" in finding.what
    assert "3.11" in finding.remedy


def test_python_new_enough_is_fine() -> None:
    assert checks.check_python((3, 11, 0), "CPython", False).level is Level.OK
    assert checks.check_python((3, 12, 0), "PyPy", False).level is Level.NOTE


@pytest.mark.parametrize(
    ("installed", "requirement", "met"),
    [
        ("24.0.0", "pyarrow>=24", True),
        ("23.9.1", "pyarrow>=24", False),
        ("7.36.2", "protobuf<8,>=7.35", True),
        ("8.0", "protobuf<8,>=7.35", False),
        ("1.80.0rc1", "grpcio>=1.80", True),
        ("2.1", "thing!=2.1", False),
        ("2.1", "thing", True),
        ("3.1", "thing>=3.1.0; python_version >= '3.20'", True),
    ],
)
def test_requirements(installed: str, requirement: str, met: bool) -> None:
    assert checks.satisfies(installed, requirement) is met
    level = Level.OK if met else Level.BROKEN
    assert checks.check_requirement(requirement, installed, "").level is level


def test_missing_and_unimportable_libraries_are_told_apart() -> None:
    missing = checks.check_requirement("pyarrow>=24", None, "")
    assert (missing.level, missing.remedy) == (Level.BROKEN, "pip install 'pyarrow>=24'")
    damaged = checks.check_requirement("pyarrow>=24", "24.0", "ImportError: libarrow.so")
    assert damaged.level is Level.BROKEN
    assert "libarrow.so" in damaged.what


def test_a_taken_port_is_fine_when_the_next_is_free() -> None:
    assert checks.check_port(4040, "the web UI", True, None, True).level is Level.OK
    moved = checks.check_port(4040, "the web UI", False, 4041, True)
    assert moved.level is Level.OK
    assert "4041" in moved.what
    fixed = checks.check_port(7077, "the manager", False, 7078, False)
    assert fixed.level is Level.NOTE
    assert "--port 7078" in fixed.remedy
    assert checks.check_port(4040, "the web UI", False, None, True).level is Level.BROKEN


def test_directory() -> None:
    assert checks.check_directory("local dir", "/d", "", 50 * GIB).level is Level.OK
    assert checks.check_directory("local dir", "/d", "", 10 * MIB).level is Level.NOTE
    unwritable = checks.check_directory("local dir", "/d", "can't be written (Read-only file system)", 0)
    assert unwritable.level is Level.BROKEN
    assert "quiver.local.dir" in unwritable.remedy


def test_memory_counts_the_smaller_limit() -> None:
    assert checks.check_memory(8 * GIB, 4 * GIB, None).level is Level.OK
    limited = checks.check_memory(8 * GIB, 4 * GIB, 256 * MIB)
    assert limited.level is Level.NOTE
    assert "256.0 MiB" in limited.what
    assert "limited" not in checks.check_memory(8 * GIB, 4 * GIB, 64 * GIB).what


def test_shm() -> None:
    assert checks.check_shm(None, 0).level is Level.NOTE
    assert "--shm-size" in checks.check_shm(64 * MIB, 64 * MIB).remedy
    assert checks.check_shm(GIB, GIB).level is Level.OK


def test_clock() -> None:
    assert checks.check_clock([1.0, 1.0, 2.0], 2e9, 1.7e9, None).level is Level.OK
    assert checks.check_clock([2.0, 1.0], 2e9, 1.7e9, None).level is Level.BROKEN
    assert checks.check_clock([1.0], 1e9, 1.7e9, None).level is Level.BROKEN
    ahead = checks.check_clock([1.0], 2e9, 1.7e9, 30.0)
    assert ahead.level is Level.NOTE
    assert "ahead" in ahead.what
    assert checks.check_clock([1.0], 2e9, 1.7e9, -0.5).level is Level.OK


def test_open_files() -> None:
    assert checks.check_open_files(-1, -1).level is Level.OK
    few = checks.check_open_files(256, 4096)
    assert few.level is Level.NOTE
    assert "ulimit -n" in few.remedy


@pytest.mark.parametrize(
    ("mode", "owner", "level"),
    [(None, -1, Level.OK), (0o600, 1000, Level.OK), (0o644, 1000, Level.BROKEN), (0o660, 1000, Level.BROKEN), (0o600, 1001, Level.BROKEN)],
)
def test_secret(mode: int | None, owner: int, level: Level) -> None:
    assert checks.check_secret("/s", mode, owner, 1000).level is level


def test_manager() -> None:
    assert checks.check_manager("quiver://h:1", "no manager answers at h:1", 0, 0).level is Level.BROKEN
    assert checks.check_manager("quiver://h:1", "", 0, 0).level is Level.NOTE
    assert "2 nodes, 8 cores" in checks.check_manager("quiver://h:1", "", 2, 8).what


def test_text_shows_each_remedy_below_its_finding() -> None:
    text = checks.as_text([Finding("a", Level.OK, "fine"), Finding("bb", Level.BROKEN, "bad", "mend it")])
    assert text.splitlines() == ["ok    a   fine", "FAIL  bb  bad", "          → mend it"]


def test_json_and_exit_code(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s")
    secret.chmod(0o600)
    result = CliRunner().invoke(doctor, ["--json", "--secret-file", str(secret), "--local-dir", str(tmp_path)])
    report = json.loads(result.output)
    assert result.exit_code == (0 if report["ok"] else 1)
    assert {"Python", "pyarrow", "port 4040", "local dir", "secret"} <= {row["check"] for row in report["findings"]}
    secret.chmod(0o644)
    result = CliRunner().invoke(doctor, ["--json", "--secret-file", str(secret), "--local-dir", str(tmp_path)])
    assert result.exit_code == 1
    assert [row["level"] for row in json.loads(result.output)["findings"] if row["check"] == "secret"] == ["broken"]


def test_every_requirement_of_the_installation_is_met() -> None:
    findings = {finding.check: finding for finding in examine()}
    for requirement in observe.requirements():
        assert findings[checks.requirement_name(requirement)].level is Level.OK


def test_a_listening_port_is_seen() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert not observe.port_is_free(port)
        assert observe.next_free_port(port) not in (None, port)
    assert observe.port_is_free(port)


def test_cgroup_limits_of_both_versions(tmp_path: Path) -> None:
    two = tmp_path / "two"
    (two / "service" / "inner").mkdir(parents=True)
    (two / "service" / "inner" / "memory.max").write_text("max\n")
    (two / "service" / "memory.max").write_text("1048576\n")
    membership = tmp_path / "membership"
    membership.write_text("0::/service/inner\n")
    assert observe.cgroup_memory_limit(str(two), str(membership)) == 1048576
    one = tmp_path / "one"
    (one / "memory" / "job").mkdir(parents=True)
    (one / "memory" / "job" / "memory.limit_in_bytes").write_text("2097152\n")
    (one / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    membership.write_text("5:cpu,cpuacct:/job\n4:memory:/job\n")
    assert observe.cgroup_memory_limit(str(one), str(membership)) == 2097152
    assert observe.cgroup_memory_limit(str(tmp_path / "none"), str(tmp_path / "nowhere")) is None


def test_directories_that_do_not_exist_are_judged_by_their_parent(tmp_path: Path) -> None:
    assert observe.directory_problem(str(tmp_path / "a" / "b")) == ""
    assert observe.free_bytes(str(tmp_path / "a" / "b")) > 0
    if os.getuid() != 0:
        tmp_path.chmod(0o500)
        assert "can't be written" in observe.directory_problem(str(tmp_path))


def test_a_real_manager_is_asked_and_its_clock_compared(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("QUIVER_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "quiver_manager", "--port", "0", "--secret-file", str(tmp_path / "secret")],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**environment, "QUIVER_HOME": str(tmp_path)},
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        url = f"quiver://{process.stdout.readline().split()[-1]}"
        findings = {finding.check: finding for finding in examine(url, str(tmp_path / "secret"), str(tmp_path))}
        process.terminate()
        process.communicate(timeout=120)
    assert findings["manager"].what == f"{url} answers, but has no nodes"
    assert findings["clock"].what.endswith("agrees with the manager's")
    assert process.returncode == 0


def test_a_manager_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the-secret-of-these-tests")
    secret.chmod(0o600)
    (finding,) = [finding for finding in examine("quiver://127.0.0.1:9", str(secret)) if finding.check == "manager"]
    assert finding.level is Level.BROKEN
    assert "no manager answers" in finding.what
