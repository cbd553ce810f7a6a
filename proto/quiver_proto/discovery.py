"""Finding out which resources (GPUs, …) a process may use: `spark.executor.resource.<name>.amount` and its `discoveryScript`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import Final

from quiver_proto.errors import BadSetting, ResourcesUnavailable

LIMIT_S: Final = 60.0


def settings(conf: Mapping[str, str], whose: str, what: str) -> dict[str, str]:
    """`spark.<whose>.resource.<name>.<what>`, by name."""
    prefix, suffix = f"spark.{whose}.resource.", f".{what}"
    keys = [key for key in conf if key.startswith(prefix) and key.endswith(suffix)]
    return {key.removeprefix(prefix).removesuffix(suffix): conf[key] for key in keys}


def discover(conf: Mapping[str, str], whose: str) -> dict[str, list[str]]:
    """The addresses of each resource that the settings of `whose` (executor or driver) name.

    A discovery script is run here, and prints `{"name": "gpu", "addresses": ["0", "1"]}`; without one the addresses are 0, 1, … Of more
    addresses than asked for, the first are taken. Raises BadSetting, and ResourcesUnavailable when the script finds fewer or fails.
    """
    scripts = settings(conf, whose, "discoveryScript")
    found: dict[str, list[str]] = {}
    for name, text in settings(conf, whose, "amount").items():
        if not text.strip().isdigit():
            raise BadSetting(f"spark.{whose}.resource.{name}.amount", text, "must be a whole number")
        amount, script = int(text), scripts.get(name, "")
        addresses = _ask(name, script) if script else [str(index) for index in range(amount)]
        if len(addresses) < amount:
            raise ResourcesUnavailable(
                f"{amount} {name}",
                f"{script} found {len(addresses)} here",
                f"Lower spark.{whose}.resource.{name}.amount, or look at the script.",
            )
        found[name] = addresses[:amount]
    return found


def _ask(name: str, script: str) -> list[str]:
    def failed(problem: str) -> ResourcesUnavailable:
        return ResourcesUnavailable(
            name, f"its discovery script {script} {problem}", 'It must print {"name": "' + name + '", "addresses": [...]}.'
        )

    try:
        ran = subprocess.run([script], stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S, check=False, text=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise failed(f"can't be run: {error}") from None
    if ran.returncode:
        raise failed(f"ended with {ran.returncode}: {ran.stderr.strip()[-500:]}")
    try:
        told = json.loads(ran.stdout)
        addresses = [str(address) for address in told["addresses"]]
    except (ValueError, TypeError, KeyError):
        raise failed(f"printed {ran.stdout.strip()[:200]!r}") from None
    if told.get("name") != name:
        raise failed(f"is for {told.get('name')!r}")
    return addresses
