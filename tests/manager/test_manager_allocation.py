"""Who gets which executors, and what the others are told."""

from __future__ import annotations

import pytest
from manager_story import GIB, Story

from quiver_manager.allocation import usable_cores
from quiver_manager.model import LaunchRefused, Policy, Stage
from quiver_proto import cluster as c
from quiver_proto.errors import ExecutorLaunchFailed, ResourcesUnavailable
from quiver_proto.wire_errors import load_fields


def sizes(story):
    return sorted((e.node_id, e.cores, e.memory_bytes) for e in story.state.executors.values())


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({}, [("n1", 4, 4 * GIB), ("n2", 2, 2 * GIB)]),
        ({"cores_max": 5}, [("n1", 4, 4 * GIB), ("n2", 1, GIB)]),
        ({"cores_max": 3}, [("n1", 3, 3 * GIB)]),
        ({"instances": 2}, [("n1", 4, 4 * GIB), ("n2", 2, 2 * GIB)]),
        ({"instances": 3}, [("n1", 2, 2 * GIB), ("n1", 2, 2 * GIB), ("n2", 1, GIB)]),
        ({"instances": 2, "cores": 1}, [("n1", 1, GIB), ("n2", 1, GIB)]),
        ({"cores": 2}, [("n1", 2, 2 * GIB), ("n1", 2, 2 * GIB), ("n2", 2, 2 * GIB)]),
        ({"cores": 2, "cores_max": 4}, [("n1", 2, 2 * GIB), ("n2", 2, 2 * GIB)]),
        ({"cores": 1, "memory_bytes": 2 * GIB}, [("n1", 1, 2 * GIB), ("n1", 1, 2 * GIB), ("n2", 1, 2 * GIB)]),
        ({"memory_bytes": 3 * GIB}, [("n1", 4, 3 * GIB)]),
    ],
    ids=str,
)
def test_what_an_application_gets_of_two_unequal_nodes(request_, expected):
    story = Story()
    story.node("n1", 4, 4 * GIB)
    story.node("n2", 2, 2 * GIB)
    story.application(**request_)
    assert sizes(story) == expected


def test_executors_spread_before_they_stack():
    story = Story()
    for name in ("n1", "n2", "n3"):
        story.node(name, 4)
    story.application(instances=5, cores=1)
    assert sorted(node for node, _ in story.launched()) == ["n1", "n1", "n2", "n2", "n3"]


def test_first_come_first_served_and_the_next_when_it_is_over():
    story = Story()
    story.node("n1", 4)
    story.application("a")
    story.application("b")
    [first] = story.up()
    assert first == "a/0"
    assert story.waits_for("b").reason == (
        "0 of 1 executors run: no node has room for one more; 4 of 4 cores and 4.0 GiB of 4.0 GiB on 1 node are in use, "
        "by 1 other application"
    )
    assert not story.waits_for("b").final
    story.say(c.UnregisterApplication("a", "done"))
    assert story.launched() == []  # its executor still holds the cores
    story.exited("a/0", asked=True)
    assert story.up() == ["b/0"]
    assert story.waits_for("b").reason == ""


def test_a_node_that_comes_late_is_used():
    story = Story()
    story.application()
    assert "no node has registered" in story.waits_for().reason
    story.node("n1")
    story.node("n2")
    assert story.up() == ["a/0", "a/1"]
    assert story.waits_for() == c.AllocationWaiting("")


def error_of(waiting):
    assert waiting.final
    return load_fields(waiting.error_code, waiting.error_fields)


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"memory_bytes": 64 * GIB}, "--executor-memory 64.0 GiB can't be had: the largest of 2 nodes has 4.0 GiB"),
        ({"cores": 5}, "--executor-cores 5 can't be had: the largest of 2 nodes has 4"),
        ({"cores": 4, "memory_bytes": 8 * GIB}, "--executor-memory 8.0 GiB can't be had"),
    ],
    ids=str,
)
def test_what_no_node_has_is_final_within_seconds(request_, says):
    story = Story(Policy(never_fits_limit_s=3))
    story.node("n1")
    story.node("n2")
    story.application(**request_)
    assert says in story.waits_for().reason
    assert not story.waits_for().final
    for _ in range(7):
        story.beat("n1")
        story.beat("n2")
        story.later(0.5)
    error = error_of(story.waits_for())
    assert type(error) is ResourcesUnavailable
    assert says in str(error)


def test_both_of_two_asks_on_one_node():
    story = Story(Policy(never_fits_limit_s=0))
    story.node("n1", 8, 1 * GIB)
    story.node("n2", 1, 8 * GIB)
    story.application(cores=8, memory_bytes=8 * GIB)
    story.later(1)
    assert "no single one of 2 nodes has both" in str(error_of(story.waits_for()))


def test_a_larger_node_takes_a_final_reason_back():
    story = Story(Policy(never_fits_limit_s=0))
    story.node("n1", 4)
    story.application(cores=8)
    story.later(1)
    assert story.waits_for().final
    story.node("n2", 8)
    story.up()
    assert story.waits_for() == c.AllocationWaiting("")


def test_without_any_node_it_is_final_only_after_its_own_limit():
    story = Story(Policy(no_node_limit_s=8, never_fits_limit_s=1, application_timeout_s=100))
    story.application(memory_bytes=64 * GIB)
    story.later(7.5)
    assert not story.waits_for().final
    story.later(1)
    assert "no node has registered" in str(error_of(story.waits_for()))


def test_the_limit_starts_anew_when_the_reason_changes():
    story = Story(Policy(no_node_limit_s=30, never_fits_limit_s=3, application_timeout_s=100))
    story.application(cores=8)
    story.later(20)
    story.node("n1", 4)
    assert "largest of 1 node has 4" in story.waits_for().reason
    assert not story.waits_for().final


def test_with_some_executors_running_nothing_is_final():
    story = Story(Policy(never_fits_limit_s=0))
    story.node("n1", 4)
    story.application(instances=3, cores=3)
    story.up()
    story.beat("n1")
    story.later(5)
    assert story.waits_for().reason.startswith("1 of 3 executors run: no node has room")
    assert not story.waits_for().final


def test_launches_that_fail_are_tried_again_with_a_pause_and_then_are_final_with_the_log():
    story = Story(Policy(max_launch_failures=3, application_timeout_s=100, node_timeout_s=100))
    story.node("n1")
    story.application()
    for attempt in range(3):
        [(_, executor_id)] = story.launched()
        assert executor_id == f"a/{attempt}"
        story.exited(executor_id, exit_code=1, log_tail="ImportError: no module named x")
        assert story.launched() == []
        if attempt < 2:
            assert "it is tried again" in story.waits_for().reason
            story.later(5)
    error = error_of(story.waits_for())
    assert type(error) is ExecutorLaunchFailed
    assert "ImportError: no module named x" in str(error)
    assert "3 times in a row" in str(error)
    story.later(20)
    assert story.launched() == []


def test_a_node_that_refuses_is_a_failed_launch_and_only_for_that_attempt():
    story = Story(Policy(max_launch_failures=1))
    story.node("n1")
    story.application()
    story.say(LaunchRefused("a/0", 2, "late"))
    assert "a/0" in story.state.executors
    story.say(LaunchRefused("a/0", 1, "disk full"))
    assert "disk full" in str(error_of(story.waits_for()))


def test_an_executor_that_does_not_get_ready_is_a_failed_launch():
    story = Story(Policy(launch_timeout_s=5, max_launch_failures=1, application_timeout_s=100, node_timeout_s=100))
    story.node("n1")
    story.application()
    story.later(6)
    assert ("a/0", True) in story.stops()
    assert "not ready after 5 s" in str(error_of(story.waits_for()))


def test_a_success_forgets_earlier_failures():
    story = Story(Policy(max_launch_failures=2, application_timeout_s=100, node_timeout_s=100))
    story.node("n1")
    story.application()
    for _ in range(3):
        story.exited(story.launched()[0][1], exit_code=1)
        story.later(5)
        [executor_id] = story.up()
        story.exited(executor_id, signal=9)
    assert [executor_id for _, executor_id in story.launched()] == ["a/6"]


def test_executors_that_die_are_replaced_up_to_a_limit():
    story = Story(Policy(max_executor_deaths=2, deaths_window_s=60, application_timeout_s=1000, node_timeout_s=1000))
    story.node("n1")
    story.application()
    for _ in range(3):
        [executor_id] = story.up()
        story.exited(executor_id, signal=11, log_tail="Segmentation fault")
    assert story.launched() == []
    assert "3 executors died within 60 s, the last with: killed by signal 11" in str(error_of(story.waits_for()))


def test_old_deaths_do_not_count():
    story = Story(Policy(max_executor_deaths=2, deaths_window_s=10, application_timeout_s=1000, node_timeout_s=1000))
    story.node("n1")
    story.application()
    for _ in range(6):
        [executor_id] = story.up()
        story.later(11)
        story.exited(executor_id, signal=11)
    assert len(story.launched()) == 1


def test_a_released_executor_is_stopped_and_not_replaced_until_more_are_asked_for():
    story = Story()
    story.node("n1")
    story.node("n2")
    story.application()
    assert story.up() == ["a/0", "a/1"]
    assert story.say(c.ReleaseExecutor("a", "a/0", "idle")).done
    assert story.stops() == {("a/0", False)}
    assert story.say(c.ReleaseExecutor("a", "a/0", "idle")).done
    assert story.stops() == set()
    story.exited("a/0", asked=True)
    assert story.told()[-1] == c.ExecutorGone("a/0", "n1", "exit code 0", asked=True)
    assert story.launched() == []
    assert not story.say(c.ReleaseExecutor("a", "a/0", "idle")).done
    story.say(c.RequestExecutors("a", 1, 2))
    assert story.up() == ["a/2"]


def test_what_a_driver_lost_touch_with_is_replaced():
    story = Story()
    story.node("n1")
    story.node("n2")
    story.application()
    assert story.up() == ["a/0", "a/1"]
    # Both had died while the manager was away: their streams broke, and nobody said what became of them.
    story.exited("a/0", signal=9)
    assert story.say(c.ReleaseExecutor("a", "a/1", "its stream broke", replace=True)).done
    assert story.stops() == {("a/1", False)}
    assert not story.say(c.ReleaseExecutor("a", "a/0", "its stream broke", replace=True)).done
    story.exited("a/1", asked=True)
    assert story.up() == ["a/2", "a/3"]


def test_requests_are_totals_and_late_ones_do_nothing():
    story = Story()
    story.node("n1", 4)
    story.application(cores=1)
    assert len(story.up()) == 4
    for executor_id in ("a/0", "a/1", "a/2", "a/3"):
        story.say(c.ReleaseExecutor("a", executor_id, "idle"))
        story.exited(executor_id, asked=True)
    story.say(c.RequestExecutors("a", 2, 2))
    story.say(c.RequestExecutors("a", 2, 2))
    story.say(c.RequestExecutors("a", 1, 4))
    assert story.up() == ["a/4", "a/5"]


WIDE = {1: Stage(4, (), 1), 2: Stage(100, (1,), 2)}


@pytest.mark.parametrize(
    ("jobs", "done", "expected"),
    [
        ({}, {}, 0),
        ({1: {1: Stage(10, (), 1)}}, {}, 10),
        ({1: {1: Stage(10, (), 1)}}, {1: 7}, 3),
        ({1: {1: Stage(10, (), 1)}}, {1: 12}, 0),
        ({1: WIDE}, {}, 4),
        ({1: WIDE}, {1: 2}, 2),
        ({1: WIDE}, {1: 3}, 200),
        ({1: WIDE}, {1: 4, 2: 95}, 10),
        ({1: WIDE, 2: {1: WIDE[1], 3: Stage(5, (1,), 1)}}, {1: 4, 2: 100}, 5),
        ({1: WIDE, 2: WIDE}, {}, 4),
        ({1: {2: Stage(6, (1,), 1)}}, {}, 6),
    ],
    ids=str,
)
def test_what_the_registered_jobs_can_use(jobs, done, expected):
    """Ready stages by what remains of them; a wide stage once its parents are nearly done; a parent that is not registered is done."""
    assert usable_cores(jobs, {stage: c.StageProgress(stage, count) for stage, count in done.items()}) == expected


def test_a_dynamic_application_gets_what_its_jobs_can_use():
    story = Story()
    story.node("n1", 8)
    story.application(cores=1, conf={"spark.dynamicAllocation.enabled": "true"})
    assert story.launched() == []
    story.say(c.SubmitJob("a", 1, (c.StageDemand(1, "map", 2), c.StageDemand(2, "reduce", 6, (1,)))))
    assert len(story.launched()) == 2
    story.say(c.ApplicationHeartbeat("a", (c.StageProgress(1, 2),)))
    story.later(0.5)
    assert len(story.launched()) == 4
    story.say(c.JobEnded("a", 1, "succeeded"))
    assert story.state.applications["a"].progress == {}
