"""Random stories with cached datasets. QUIVER_SIMULATION_SEEDS and QUIVER_SIMULATION_FIRST_SEED as for those without."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from cached_simulation import CachedSimulation
from simulation import Violation

from quiver.scheduler import caching, holdings, launching, lifecycle, reports
from quiver.scheduler.blocks import BlockTable

SEEDS = int(os.environ.get("QUIVER_SIMULATION_SEEDS", "600"))
FIRST = int(os.environ.get("QUIVER_SIMULATION_FIRST_SEED", "0"))
MUST_SHOW = (
    "CACHE_MISS", "CheckpointLost", "Replicate(", "DropDataset(", "skipped=frozenset({", "a cached block that stood for its input is lost",
)  # fmt: skip


@pytest.mark.timeout(0)
def test_all_properties_hold_in_all_stories_with_caches() -> None:
    seen: Counter[str] = Counter()
    for seed in range(FIRST, FIRST + SEEDS):
        told = "\n".join(CachedSimulation(seed).run())
        seen.update(what for what in MUST_SHOW if what in told)
    for what in MUST_SHOW:
        assert SEEDS < 500 or seen[what], f"no story shows {what}: the simulation no longer reaches it"


def test_one_seed_is_one_story_with_caches() -> None:
    for seed in range(20):
        assert CachedSimulation(seed).run() == CachedSimulation(seed).run()


def _broken(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    match how:
        case "blocks cover parents although one of them was lost":
            monkeypatch.setattr(holdings, "lacks_inputs", lambda *_: False)
        case "a miss is not believed":
            monkeypatch.setattr(BlockTable, "disbelieve", lambda *_: None)
            monkeypatch.setattr(
                launching, "variants_of", lambda state, run, parts, _: [caching.choose(state, run.stage, p)[0] for p in parts]
            )
        case "a lost executor keeps its blocks":
            monkeypatch.setattr(holdings, "executor_gone", lambda *_: None)
        case "late blocks of a dropped dataset stay":
            changed = holdings.changed
            monkeypatch.setattr(
                holdings,
                "changed",
                lambda state, who, blocks: changed(state, who, [b for b in blocks if b.dataset_id in state.blocks.datasets]),
            )
        case "repeated reports are believed":
            stored = holdings.stored

            def believe(state, who, done):
                stored(state, who, done)
                holdings.changed(state, who, [block for report in done if report.extras for block in report.extras.cached])

            monkeypatch.setattr(reports.holdings, "stored", believe)
        case "all parents count as covered":
            monkeypatch.setattr(lifecycle, "absent_parents", lambda state, stage: [] if stage.spec.caching else stage.absent_parents())


@pytest.mark.parametrize(
    "how",
    [
        "blocks cover parents although one of them was lost",
        "a miss is not believed",
        "a lost executor keeps its blocks",
        "late blocks of a dropped dataset stay",
        "repeated reports are believed",
        "all parents count as covered",
    ],
)
def test_broken_caching_is_noticed(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    _broken(monkeypatch, how)

    def tell() -> None:
        for seed in range(600):
            CachedSimulation(seed).run()

    with pytest.raises((Violation, AssertionError, KeyError)):
        tell()
