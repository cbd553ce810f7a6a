"""`python -m quiver.cli` is `quiver`."""

from __future__ import annotations

from quiver.cli.entry import main

if __name__ == "__main__":
    main()
