"""What killed drivers leave in an output directory goes with the next job there, and nothing of anybody who may be alive does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from quiver_proto.committing import OutputJob, staging_directory
from quiver_proto.staging_leases import OWNER, REPLACED


def killed(out: Path, more: str = "") -> Path:
    """The place of a job whose driver got SIGKILL in the middle."""
    program = f"""
import os, signal, sys
from quiver_proto.committing import OutputJob, staging_directory
job = OutputJob(sys.argv[1])
job.prepare(new=False)
place = staging_directory(sys.argv[1], job.name)
os.makedirs(place + "/0-0")
open(place + "/0-0/rows", "w").close()
{more}
print(place, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program, str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    return Path(done.stdout.strip())


def test_only_places_of_the_dead_go(tmp_path: Path) -> None:
    out = tmp_path / "out"
    alive = OutputJob(str(out))
    alive.prepare(new=True)
    dead, interrupted = killed(out), killed(out, f"os.mkdir(place + '/{REPLACED}')")
    assert not dead.exists(), "the second of them has removed what the first left"
    dead, removing = killed(out), killed(out, "os.rename(place, place + '.gone')")
    elsewhere = killed(out)
    (elsewhere / OWNER).write_text("another machine")
    unknown = killed(out)
    (unknown / OWNER).unlink()
    job = OutputJob(str(out))
    job.prepare(new=False)
    places = {Path(staging_directory(str(out), each.name)) for each in (job, alive)}
    assert set((out / "_temporary").iterdir()) == {*places, interrupted, elsewhere, unknown}
    assert not removing.exists()
    for each in (job, alive):
        Path(staging_directory(str(out), each.name), "rows").write_text(each.name)
        each.commit([("rows", f"part-{each.name}")])
    assert {path.name for path in out.glob("part-*")} == {f"part-{job.name}", f"part-{alive.name}"}
    assert set((out / "_temporary").iterdir()) == {interrupted, elsewhere, unknown}
    assert not [name for name in os.listdir("/proc/self/fd") if OWNER in os.path.realpath(f"/proc/self/fd/{name}")]
