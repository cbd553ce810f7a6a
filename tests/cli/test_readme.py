"""What the README states and the code decides must be the same."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

from quiver.conf import documentation
from quiver_proto.errors import BadMasterUrl

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
INTERNALS = ["ARCHITECTURE.md", *(f"docs/internals/{page.name}" for page in (ROOT / "docs/internals").glob("*.md"))]


def test_the_table_of_settings_is_current() -> None:
    table = README.split("<!-- settings: made by quiver.conf.documentation() -->\n")[1].split("<!-- end of settings -->")[0]
    assert table == documentation().rstrip() + "\n", "run `make docs`"


def test_every_master_is_in_the_table_and_in_the_error() -> None:
    message = str(BadMasterUrl("x"))
    for form in ("inline", "local[N]", "local[*]", "local-cluster[nodes,cores,memory]", "quiver://host:port", "quiver-driver://host:port"):
        assert f"`{form}`" in README
        assert form in message


def test_links_lead_somewhere() -> None:
    for name in ("README.md", "CHANGELOG.md", *INTERNALS):
        text = (ROOT / name).read_text()
        for target, heading in re.findall(r"\]\(([^)#:]+)(?:#([^)]*))?\)", text):
            assert ((ROOT / name).parent / target).exists(), f"{name} links to {target}"
            if heading:
                headings = re.findall(r"^#+ (.*)$", ((ROOT / name).parent / target).read_text(), re.MULTILINE)
                assert heading in {each.lower().replace(" ", "-") for each in headings}, f"{name} links to #{heading}"


def test_files_that_the_architecture_names_exist() -> None:
    folders = ("proto", "driver", "manager", "executor", "web", "tests", "benchmarks")
    there = [f"/{path.relative_to(ROOT)}" for folder in folders for path in (ROOT / folder).rglob("*.py")]
    for page in INTERNALS:
        named = set(re.findall(r"`([\w/]+\.py)(?:::\w+)?`", (ROOT / page).read_text()))
        assert named
        missing = {name for name in named if not any(path.endswith(f"/{name}") for path in there)}
        assert not missing, f"{page} names {missing}"


def test_programs_run(tmp_path: Path) -> None:
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "one.txt").write_text("to be or not to be\n")
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("QUIVER_")},
        "QUIVER_CONF_SPARK_UI_ENABLED": "false",
        "QUIVER_CONF_QUIVER_EVENTLOG_DIR": str(tmp_path / "events"),
    }
    programs = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    printed = []
    for program in programs:
        result = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, result.stderr
        printed.append(result.stdout.splitlines())
    words, tables = printed
    assert sorted(ast.literal_eval(words[0])) == [("be", 2), ("not", 1), ("or", 1), ("to", 2)]
    assert tables[-1] == "40.0 (2, 3)"
