"""The commands as processes: exit codes, what goes to which stream, and how programs see themselves."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def call(*arguments: str, name: str = "quiver", cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    entry = {"quiver": "main", "driver": "driver"}[name]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("QUIVER_")}
    return subprocess.run(
        [sys.executable, "-c", f"from quiver.cli import {entry}; {entry}()", *arguments],
        capture_output=True, text=True, timeout=120, cwd=cwd, env={**clean, **env},
    )  # fmt: skip


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_help_is_light() -> None:
    heavy = "{m for m in ('pyarrow', 'grpc', 'fastapi', 'pydantic', 'numpy', 'psutil') if m in sys.modules}"
    program = f"import sys\nfrom quiver.cli import main\ntry: main(['--help'])\nexcept SystemExit: print({heavy})"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout.splitlines()[-1] == "set()"
    for command in ("driver", "manager", "executor", "submit", "demo", "doctor", "status"):
        assert f"\n  {command} " in result.stdout


@pytest.mark.parametrize("arguments", [["doctor"], ["demo"], ["status"], ["submit"], ["driver"], ["driver", "run"], ["driver", "serve"]])
def test_every_command_has_help(arguments: list[str]) -> None:
    result = call(*arguments, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(f"Usage: quiver {' '.join(arguments)}")


def test_version() -> None:
    assert call("--version").stdout.startswith("Quiver ")
    result = call("run", "--version", name="driver")
    assert "Python" in result.stdout
    assert "pyarrow" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "No such command"),
        (["app.py"], "quiver submit app.py"),
        (["submit"], "Missing argument"),
        (["submit", "--nonsense", "app.py"], "No such option"),
        (["submit", "--class", "org.example.Main", "app.py"], "no JVM"),
        (["submit", "--packages", "a:b:1", "app.py"], "no JVM"),
        (["submit", "--deploy-mode", "cluster", "app.py"], "client mode"),
    ],
)
def test_usage_errors_exit_2(arguments: list[str], says: str) -> None:
    result = call(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert says in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["submit", "gone.py"], "input path does not exist: 'gone.py'"),
        (["submit", "--executor-memory", "much", "app.py"], "'much' is not an amount of memory"),
        (["submit", "--conf", "key", "app.py"], "write it as key=value"),
        (["submit", "--properties-file", "gone.conf", "app.py"], "gone.conf"),
    ],
)
def test_our_errors_exit_1_without_traceback(tmp_path: Path, arguments: list[str], says: str) -> None:
    write(tmp_path / "app.py", "")
    result = call(*arguments, cwd=tmp_path)
    assert result.returncode == 1
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_the_program_sees_itself_as_under_python(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    write(tmp_path / "inner" / "beside.py", "VALUE = 7")
    program = write(
        tmp_path / "inner" / "app.py",
        "import sys, os, beside, __main__\n"
        "class Here: pass\n"
        "print(__name__, sys.argv, os.path.basename(sys.path[0]), beside.VALUE, Here.__module__, __main__.Here is Here, __file__)\n"
        "print(os.environ['QUIVER_MASTER'], os.environ['QUIVER_APP_NAME'], os.environ['QUIVER_CONF_JSON'])\n",
    )
    result = call(
        "submit", "--master", "local[2]", "--name", "me", "--conf", "a=b", program, "--flag", "value", "--master", "x", cwd=tmp_path
    )
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        f"__main__ {[program, '--flag', 'value', '--master', 'x']} inner 7 __main__ True {program}",
        'local[2] me {"a": "b"}',
    ]
    assert result.returncode == 0


def test_py_files_can_be_imported(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "lib.zip", "w") as archive:
        archive.writestr("zipped.py", "VALUE = 1")
    (tmp_path / "away").mkdir()
    write(tmp_path / "away" / "single.py", "VALUE = 2")
    program = write(tmp_path / "app.py", "import zipped, single; print(zipped.VALUE + single.VALUE)")
    result = call("submit", "--py-files", f"lib.zip,{tmp_path}/away/single.py", program, cwd=tmp_path)
    assert (result.stdout, result.stderr) == ("3\n", "")


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ("raise SystemExit", 0, ""),
        ("raise SystemExit(7)", 7, ""),
        ("raise SystemExit('no luck')", 1, "no luck\n"),
        ("raise KeyboardInterrupt", 130, "Interrupted.\n"),
    ],
)
def test_exit_codes_of_programs(tmp_path: Path, body: str, code: int, says: str) -> None:
    result = call("submit", write(tmp_path / "app.py", body))
    assert (result.returncode, result.stderr) == (code, says)


def test_a_program_s_error_keeps_its_traceback_without_our_frames(tmp_path: Path) -> None:
    program = write(tmp_path / "app.py", "def f():\n    return {}['missing']\n\nf()\n")
    result = call("submit", program)
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert lines[:3] == ["Traceback (most recent call last):", f'  File "{program}", line 4, in <module>', "    f()"]
    assert lines[-1] == "KeyError: 'missing'"
    assert "quiver/cli" not in result.stderr


def test_an_error_of_ours_in_a_program_names_the_program_s_line(tmp_path: Path) -> None:
    program = write(tmp_path / "app.py", "from quiver_proto.errors import OutputExists\n\nraise OutputExists('/out')\n")
    result = call("submit", program)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("OutputExists: output directory '/out' already exists")
    assert f"at {program}:3" in result.stderr


def test_source_that_does_not_compile(tmp_path: Path) -> None:
    result = call("submit", write(tmp_path / "app.py", "def f(:\n"))
    assert result.returncode == 1
    assert "SyntaxError" in result.stderr
    assert "Traceback" not in result.stderr


def test_ctrl_c_ends_with_130(tmp_path: Path) -> None:
    program = write(tmp_path / "app.py", "import time\nprint('ready', flush=True)\ntime.sleep(600)\n")
    process = subprocess.Popen(
        [sys.executable, "-c", "from quiver.cli import driver; driver()", "run", program],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (130, "Interrupted.\n")


def test_exit_handlers_still_find_the_program_s_globals(tmp_path: Path) -> None:
    program = write(tmp_path / "app.py", "import atexit\nVALUE = 'kept'\ndef last():\n    print(VALUE)\natexit.register(last)\n")
    assert call("submit", program).stdout == "kept\n"


def test_verbose_shows_settings_but_no_secrets(tmp_path: Path) -> None:
    program = write(tmp_path / "app.py", "")
    result = call("submit", "-v", "--conf", "quiver.secret=abc", "--conf", "a=b", "--master", "inline", program)
    assert "a=b" in result.stderr
    assert "inline" in result.stderr
    assert "abc" not in result.stderr


def test_what_quiver_says_does_not_mix_with_what_the_program_logs(tmp_path: Path) -> None:
    log = "import logging\nlogging.getLogger('quiver.driver').info('UI at http://h/?token=t')\nlogging.getLogger('quiver.driver').warning('slow')\n"
    result = call("submit", write(tmp_path / "app.py", log))
    # No terminal: the address with its token stays out of files and pipes.
    assert result.stderr == "quiver: slow\n"
    result = call("submit", write(tmp_path / "app.py", "import logging\nlogging.basicConfig(format='mine %(message)s')\n" + log))
    assert result.stderr == "mine slow\n"


@pytest.mark.parametrize(("flags", "told"), [([], True), (["--quiet"], False)])
def test_a_person_at_a_terminal_is_told_the_ui_s_address(tmp_path: Path, flags: list[str], told: bool) -> None:
    program = write(tmp_path / "app.py", "import logging\nlogging.getLogger('quiver.driver').info('UI at http://h/?token=t')\n")
    here, there = pty.openpty()
    process = subprocess.Popen([sys.executable, "-m", "quiver.cli", "submit", *flags, program], stdin=there, stdout=there, stderr=there)
    with process:
        assert process.wait(120) == 0
    ready, _, _ = select.select([here], [], [], 0)
    said = os.read(here, 4096) if ready else b""
    os.close(there)
    os.close(here)
    assert (b"quiver: UI at http://h/?token=t" in said) is told


def test_java_options_are_remarked_and_ignored(tmp_path: Path) -> None:
    result = call("submit", "--driver-java-options", "-Xmx2g", write(tmp_path / "app.py", "print('ran')"))
    assert (result.returncode, result.stdout) == (0, "ran\n")
    assert "--driver-java-options has no effect" in result.stderr


@pytest.mark.parametrize("target", ["demo", "test", "check", "proto", "clean", "help", "lint", "types", "imports", "proto-check", "docs"])
def test_make_knows_its_targets(target: str) -> None:
    result = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
