"""What `driver run`'s flags mean: a command line becomes one table of settings. Pure, apart from reading the files it names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from quiver_proto.errors import BadSetting, ConfigurationError, PathNotFound
from quiver_proto.units import parse_memory

MEMORY_KEYS = ("spark.executor.memory", "spark.driver.memory")
COUNT_KEYS = ("spark.executor.cores", "spark.executor.instances", "spark.cores.max")


@dataclass(frozen=True, slots=True)
class Submission:
    """One program to run. `conf` has every setting that the command line fixed; `python_path` what goes on `sys.path`, in order."""

    script: str
    arguments: tuple[str, ...]
    master: str | None = None
    name: str | None = None
    conf: Mapping[str, str] = field(default_factory=dict)
    python_path: tuple[str, ...] = ()


def parse_conf_flag(text: str) -> tuple[str, str]:
    """`--conf key=value`. Raises BadSetting."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise BadSetting("--conf", text, "write it as key=value, for example --conf spark.executor.memory=2g")
    return key.strip(), value.strip()


def parse_properties(text: str, path: str) -> dict[str, str]:
    """A properties file: `key value`, `key=value` or `key: value` a line; `#` and `!` start a comment.

    Raises ConfigurationError, naming the line.
    """
    settings: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#!":
            continue
        match = re.match(r"([^\s=:]+)\s*[=:\s]\s*(.*)$", stripped)
        if match is None:
            raise ConfigurationError(f"{path}, line {number}: {stripped!r} has no value. Write `key value` or `key=value`.")
        settings[match[1]] = match[2]
    return settings


def read_properties(path: str) -> dict[str, str]:
    """Raises PathNotFound, ConfigurationError."""
    try:
        with open(path, encoding="utf-8") as file:
            return parse_properties(file.read(), path)
    except FileNotFoundError:
        raise PathNotFound(path, path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"properties file {path!r} can't be read: {error}.") from None


def split_paths(values: Sequence[str], aliases: bool = False) -> tuple[str, ...]:
    """Comma-separated and repeated flags -> absolute paths, in order, each once; URLs as they are. Raises PathNotFound.

    With `aliases` a path may end in `#name`, which stays.
    """
    paths: dict[str, None] = {}
    for value in values:
        for part in map(str.strip, value.split(",")):
            if is_url(part):
                paths[part] = None
            elif part:
                path = os.path.abspath(os.path.expanduser(part))
                plain = path.rpartition("#")[0] if aliases and "#" in path and not os.path.exists(path) else path
                if not os.path.exists(plain):
                    raise PathNotFound(plain, part)
                paths[path] = None
    return tuple(paths)


def is_url(text: str) -> bool:
    """Does a scheme stand before it, `s3://…` or `file:…`?"""
    return "://" in text or text.startswith("file:")


def import_roots(py_files: Sequence[str]) -> tuple[str, ...]:
    """What to put on `sys.path` so that --py-files can be imported: archives and folders themselves, a module's folder.

    A folder that is itself a package (it has `__init__.py`) is reached through its parent.
    """
    roots: dict[str, None] = {}
    for path in py_files:
        if is_url(path):
            continue  # Brought when the Context is made.
        if os.path.isdir(path):
            package = os.path.exists(os.path.join(path, "__init__.py"))
            roots[os.path.dirname(path) if package else path] = None
        elif path.endswith((".zip", ".egg", ".whl")):
            roots[path] = None
        elif path.endswith(".py"):
            roots[os.path.dirname(path)] = None
        else:
            raise ConfigurationError(f"--py-files: {path!r} is no .py file, folder, .zip, .egg or .whl. Data files go with --files.")
    return tuple(roots)


def assemble(
    script: str,
    arguments: Sequence[str],
    *,
    master: str | None,
    name: str | None,
    properties: Mapping[str, str],
    conf: Sequence[str],
    flags: Mapping[str, str | None],
    py_files: Sequence[str],
    files: Sequence[str],
    archives: Sequence[str] = (),
) -> Submission:
    """Flags win over --conf, which wins over the properties file, as with spark-submit.

    Raises BadSetting, BadMemoryString, PathNotFound, ConfigurationError.
    """
    if not os.path.exists(script):
        raise PathNotFound(script, script)
    if os.path.isdir(script):
        raise ConfigurationError(f"{script!r} is a folder. Name the program's file, for example {os.path.join(script, 'app.py')}.")
    if script.endswith(".jar"):
        raise ConfigurationError(f"{script!r} is a Java archive; Quiver runs Python programs. Give a .py file.")
    settings = {**properties, **dict(map(parse_conf_flag, conf)), **{k: v for k, v in flags.items() if v is not None}}
    for key in MEMORY_KEYS:
        if key in settings:
            parse_memory(settings[key], key, "m")
    for key in COUNT_KEYS:
        if key in settings and (not settings[key].isdigit() or int(settings[key]) < 1):
            raise BadSetting(key, settings[key], "give a whole number from 1 up")
    modules = split_paths([*py_files, settings.get("spark.submit.pyFiles", "")])
    roots = import_roots(modules)
    if modules:
        settings["spark.submit.pyFiles"] = ",".join(modules)
    shipped = split_paths([*files, settings.get("spark.files", "")])
    if shipped:
        settings["spark.files"] = ",".join(shipped)
    packed = split_paths([*archives, settings.get("spark.archives", "")], aliases=True)
    if packed:
        settings["spark.archives"] = ",".join(packed)
    return Submission(
        script=script,
        arguments=tuple(arguments),
        master=master or settings.pop("spark.master", None),
        name=name or settings.pop("spark.app.name", None),
        conf=settings,
        python_path=roots,
    )


def environment(submission: Submission) -> dict[str, str]:
    """The variables from which a `Context()` in the program takes its settings."""
    import json

    variables = {"QUIVER_CONF_JSON": json.dumps(dict(submission.conf), sort_keys=True)}
    if submission.master is not None:
        variables["QUIVER_MASTER"] = submission.master
    if submission.name is not None:
        variables["QUIVER_APP_NAME"] = submission.name
    return variables
