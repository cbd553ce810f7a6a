"""Generate the protobuf modules of quiver_proto.v1: `python proto/generate.py [--check]`.

`--check` writes nothing and exits 1, naming the files, when what is committed is not what the .proto files give.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parent
PACKAGE = ROOT / "quiver_proto" / "v1"


def generate(into: Path) -> list[Path]:
    """Write `quiver_proto/v1/*_pb2.py` and `.pyi` below `into`; the paths, relative to it."""
    plugin = Path(sys.executable).with_name("protoc-gen-mypy")
    command = [
        "protoc",
        f"--proto_path={ROOT}",
        f"--proto_path={files('grpc_tools') / '_proto'}",
        f"--plugin=protoc-gen-mypy={plugin}",
        f"--python_out={into}",
        f"--mypy_out=quiet:{into}",
        *sorted(str(path) for path in PACKAGE.glob("*.proto")),
    ]
    if protoc.main(command) != 0:
        raise SystemExit(1)
    return sorted(path.relative_to(into) for path in into.rglob("*_pb2.py*") if path.suffix in (".py", ".pyi"))


def stale() -> list[str]:
    """Names of generated files that are missing, extra or not current."""
    with tempfile.TemporaryDirectory() as scratch:
        fresh = {str(path): (Path(scratch) / path).read_bytes() for path in generate(Path(scratch))}
    held = {str(path.relative_to(ROOT)): path.read_bytes() for path in PACKAGE.glob("*_pb2.py*") if path.suffix in (".py", ".pyi")}
    return sorted(name for name in fresh.keys() | held.keys() if fresh.get(name) != held.get(name))


def main() -> int:
    if "--check" in sys.argv[1:]:
        names = stale()
        for name in names:
            print(f"proto/{name} is not what the .proto files give; run python proto/generate.py", file=sys.stderr)
        return 1 if names else 0
    generate(ROOT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
