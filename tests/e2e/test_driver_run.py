"""`driver run` as a process."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from harness import children, command_line, eventually


def test_sigterm_is_an_orderly_end(tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(
        "import pathlib, sys, time\nfrom quiver import Context\nsc = Context()\n"
        "def hold(x):\n    pathlib.Path(MARK).touch()\n    time.sleep(600)\n".replace("MARK", repr(str(tmp_path / "on")))
        + "sc.parallelize([1], 1).foreach(hold)\n"
    )
    settings = [
        f"--conf=quiver.local.dir={tmp_path / 'local'}",
        f"--conf=quiver.eventLog.dir={tmp_path / 'events'}",
        "--conf=spark.ui.port=0",
    ]
    driver = subprocess.Popen([sys.executable, "-m", "quiver.cli", "submit", "--master", "local[1]", *settings, str(program)])
    try:
        eventually(lambda: (tmp_path / "on").exists(), "the task runs", 60)
        descendants = children(driver.pid)
        driver.send_signal(signal.SIGTERM)
        assert driver.wait(60) == 128 + signal.SIGTERM
    finally:
        driver.kill()
        driver.wait()
    assert list((tmp_path / "local").iterdir()) == []
    eventually(lambda: not any(map(command_line, descendants)), "its processes are gone")
