"""Write the table of settings, which is made from the code, into README.md: `python driver/document.py` (`make docs`)."""

from __future__ import annotations

from pathlib import Path

from quiver.conf import documentation

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN = "<!-- settings: made by quiver.conf.documentation() -->\n"
END = "<!-- end of settings -->"


def main() -> None:
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(before + BEGIN + documentation().rstrip() + "\n" + END + after)


if __name__ == "__main__":
    main()
