"""`driver run` as a process."""

from __future__ import annotations

import signal
import subprocess
import sys
import zipfile
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
        eventually(lambda: (tmp_path / "on").exists(), "the task runs")
        descendants = children(driver.pid)
        driver.send_signal(signal.SIGTERM)
        assert driver.wait(120) == 128 + signal.SIGTERM
    finally:
        driver.kill()
        driver.wait()
    assert list((tmp_path / "local").iterdir()) == []
    eventually(lambda: not any(map(command_line, descendants)), "its processes are gone")


def test_files_archives_and_modules_reach_tasks(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("file")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("t.txt", "archive")
    with zipfile.ZipFile(tmp_path / "lib.zip", "w") as archive:
        archive.writestr("shipped_by_driver_run.py", "value = 'module'")
    program = tmp_path / "elsewhere" / "app.py"
    program.parent.mkdir()
    program.write_text(
        "from pathlib import Path\nfrom quiver import Context, SparkFiles\nimport shipped_by_driver_run\n"
        "def found(_):\n"
        "    import shipped_by_driver_run\n"
        "    here = Path(SparkFiles.getRootDirectory())\n"
        "    return (here / 'a.txt').read_text(), (here / 'model/t.txt').read_text(), shipped_by_driver_run.value\n"
        "with Context() as sc: print(*sc.parallelize([0], 1).map(found).first(), shipped_by_driver_run.value)\n"
    )
    done = subprocess.run(
        [
            sys.executable, "-m", "quiver.cli", "submit", "--master", "local-cluster[1,1,512m]",
            f"--conf=quiver.local.dir={tmp_path / 'local'}", f"--conf=quiver.eventLog.dir={tmp_path / 'events'}", "--conf=spark.ui.port=0",
            f"--files={tmp_path / 'a.txt'}", f"--archives={tmp_path / 'z.zip'}#model", f"--py-files={tmp_path / 'lib.zip'}", str(program),
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout == "file archive module module\n", done.stderr
