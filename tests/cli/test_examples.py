"""The examples run as the README says, and print what is true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *arguments: str, home: Path) -> list[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("QUIVER_")}
    settings = ["--master", "local[2]", "--conf", "spark.ui.port=0", "--conf", f"quiver.eventLog.dir={home}"]
    result = subprocess.run(
        [sys.executable, "-m", "quiver.cli", "submit", *settings, str(EXAMPLES / name), *arguments],
        capture_output=True, text=True, timeout=120, env=clean,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_word_count_counts(tmp_path: Path) -> None:
    text = tmp_path / "text"
    (text / "inner").mkdir(parents=True)
    (text / "a.py").write_text("one two, three! Three THREE\n" * 50)
    (text / "inner" / "b.txt").write_bytes(b"two caf\xe9 two\n" * 30)
    (text / "c.bin").write_text("never read\n")
    lines = run("wordcount.py", str(text), home=tmp_path)
    assert lines[0].startswith("UI: http://127.0.0.1:")
    assert [line.split() for line in lines[1:]] == [["three", "150"], ["two", "110"], ["one", "50"], ["caf", "30"]]


def test_word_count_of_one_file_agrees_with_counting_by_hand(tmp_path: Path) -> None:
    source = Path(os.__file__)
    expected = Counter(re.findall("[a-z]+", source.read_text().lower()))
    best = sorted(expected.items(), key=lambda pair: (-pair[1], pair[0]))[:20]
    lines = run("wordcount.py", str(source), home=tmp_path)
    assert [tuple(line.split()) for line in lines[1:]] == [(word, f"{count:,}") for word, count in best]


def test_one_liners(tmp_path: Path) -> None:
    printed = {line[:13].strip(): line[13:].strip() for line in run("one_liners.py", home=tmp_path)}
    assert printed["squares"] == "[16, 81, 1, 49, 9, 64, 4, 36, 25, 100]"
    assert printed["sum"] == "55"
    assert printed["six largest"] == "[10, 9, 8, 7, 6, 5]"
    assert printed["sorted"] == str(list(range(1, 11)))
    assert printed["letters"] == str(len(set("tobeornottobethatisthequestion")))
    assert printed["by length"] == "[(2, 6), (3, 2), (4, 1), (8, 1)]"
    assert printed["pairs"] == "80"
    assert printed["joined"] == "[('not', 'three'), ('question', 'eight'), ('the', 'three')]"


def test_correlation_finds_the_pair_that_moves_together(tmp_path: Path) -> None:
    (line,) = run("correlation.py", home=tmp_path)
    match = re.fullmatch(r"stock03 and stock07 move together: correlation (0\.\d+)", line)
    assert match is not None, line
    assert float(match[1]) > 0.99


def test_correlation_of_given_files(tmp_path: Path) -> None:
    for name, values in {"up": [1, 2, 3, 4], "too": [2, 4, 6, 9], "down": [4, 3, 2, 1]}.items():
        (tmp_path / f"{name}.csv").write_text("".join(f"{day},{value}\n" for day, value in enumerate(values)))
    (line,) = run("correlation.py", str(tmp_path), home=tmp_path)
    assert line.startswith("too and up move together")


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_every_example_says_how_to_run_it(name: str) -> None:
    assert f"driver run examples/{name}" in (EXAMPLES / name).read_text()
