"""Which PYTHONHASHSEED slots have."""

from __future__ import annotations

import pytest

from quiver import Conf
from quiver.runner.launch import hash_seed


def test_a_seed_that_is_set_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    conf = Conf(loadDefaults=False)
    monkeypatch.setenv("PYTHONHASHSEED", "17")
    assert hash_seed(conf) == 17
    assert hash_seed(conf.copy().setExecutorEnv("PYTHONHASHSEED", "0")) == 0


@pytest.mark.parametrize("given", ["", "random", "x", "-1", str(2**32)])
def test_else_it_is_random(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", given)
    seeds = {hash_seed(Conf(loadDefaults=False)) for _ in range(4)}
    assert len(seeds) == 4
    assert all(0 < seed < 2**32 for seed in seeds)
