"""The web process: `python -m quiver_web --log FILE`."""

from __future__ import annotations

import sys

from quiver_proto.errors import QuiverError
from quiver_web.settings import parse


def main() -> int:
    settings = parse()
    from quiver_web.server import serve

    try:
        return serve(settings)
    except QuiverError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
