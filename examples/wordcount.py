"""Word count, the first program everyone writes.

driver run examples/wordcount.py [file, folder or glob ...]

Without arguments it reads the source of the running Python's own standard library. A folder means the .py and .txt files below it.
"""

import os
import re
import sys
import sysconfig
from operator import add
from pathlib import Path

from quiver import Context

WORD = re.compile(r"[a-z]+")


def files_of(path: str) -> list[str]:
    """The text files below a folder; anything else is left to textFile."""
    if not os.path.isdir(path):
        return [path]
    found = [str(file) for file in Path(path).rglob("*") if file.suffix in (".py", ".txt") and "site-packages" not in file.parts]
    return sorted(found)


def words_of(line: bytes) -> list[str]:
    # Bytes, because some files of Python's own tests are deliberately no valid UTF-8.
    return WORD.findall(line.decode("utf-8", "replace").lower())


def main() -> None:
    paths = [file for path in sys.argv[1:] or [sysconfig.get_path("stdlib")] for file in files_of(path)]
    with Context(appName="word count") as sc:
        print(f"UI: {sc.uiWebUrl}", flush=True)
        parts = 8 * sc.defaultParallelism
        counts = (
            sc.textFile(paths, parts, use_unicode=False)
            .coalesce(parts)  # else every file, however small, is a task of its own
            .flatMap(words_of)
            .map(lambda word: (word, 1))
            .reduceByKey(add)
        )
        for word, count in counts.takeOrdered(20, key=lambda pair: (-pair[1], pair[0])):
            print(f"{word:<12} {count:>10,}")


main()
