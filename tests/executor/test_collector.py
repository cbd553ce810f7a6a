import gc

from quiver_executor.collector import CollectorClock


def test_collections_count_once_it_has_started() -> None:
    clock = CollectorClock()
    gc.collect()
    assert clock.seconds == 0.0
    clock.start()
    clock.start()
    try:
        gc.collect()
        first = clock.seconds
        assert first > 0.0
        gc.collect()
        assert clock.seconds > first
        assert gc.callbacks.count(clock._listen) == 1
    finally:
        gc.callbacks.remove(clock._listen)
