"""Who is there, who is gone, and that nothing said twice or late changes anything."""

from __future__ import annotations

import pytest
from manager_story import GIB, Story

from quiver_manager.model import (
    ApplicationRemoved,
    LaunchRefused,
    NodeRefusesConnections,
    NodeState,
    Policy,
    Probe,
    WatchClosed,
    WatchOpened,
)
from quiver_proto import cluster as c


def running(story, *executor_ids):
    return [
        c.RunningExecutor(e.executor_id, e.application_id, e.cores, e.memory_bytes, e.address or "x:1")
        for e in (story.state.executors[i] for i in executor_ids)
    ]


@pytest.fixture
def story():
    """Two nodes with one executor each."""
    made = Story(Policy(node_timeout_s=15, application_timeout_s=10, recovery_s=30))
    made.node("n1")
    made.node("n2")
    made.application()
    made.say(WatchOpened("a"))
    assert made.up() == ["a/0", "a/1"]
    return made


def test_a_watcher_is_told_of_executors_with_all_it_needs(story):
    launches = [event for event in story.told() if isinstance(event, c.ExecutorLaunched)]
    assert launches[0] == c.ExecutorLaunched("a/0", "n1", "host-n1", "a/0@n1", 4, 4 * GIB, "n1:2")
    assert [event.executor_id for event in launches] == ["a/0", "a/1"]


def test_a_silent_node_is_probed_then_lost_and_everyone_is_told_once(story):
    story.later(3)
    assert {action.node_id for action in story.take(Probe)} == {"n1", "n2"}
    for _ in range(15):
        story.beat("n1")
        story.later(1)
    assert "n2" not in story.state.nodes
    assert [e for e in story.told() if isinstance(e, c.NodeGone)] == [c.NodeGone("n2", "no heartbeat for 16 s")]
    assert not [e for e in story.told() if isinstance(e, c.ExecutorGone)]
    assert set(story.state.executors) == {"a/0"}
    assert story.beat("n2") == c.HeartbeatReply(known=False)


def test_a_node_whose_port_is_closed_is_lost_at_once_but_not_one_that_just_gave_a_sign(story):
    story.say(NodeRefusesConnections("n2", 1))
    assert "n2" in story.state.nodes
    story.later(2.5)
    story.say(NodeRefusesConnections("n2", 9))
    assert "n2" in story.state.nodes
    story.say(NodeRefusesConnections("n2", 1))
    assert "n2" not in story.state.nodes


def test_what_a_lost_node_still_runs_must_stop_when_it_comes_back(story):
    held = running(story, "a/1")
    story.say(c.UnregisterNode("n2", 1, "cut off"))
    reply = story.node("n2", epoch=2, executors=held)
    assert reply.stop_executors == ("a/1",)
    assert story.up() == ["a/2"]


def test_a_daemon_at_the_same_address_replaces_its_predecessor(story):
    story.say(c.RegisterNode("n9", 1, "host", "n1:1", "n9:2", 4, 4 * GIB))
    assert "n1" not in story.state.nodes
    assert "another daemon (n9) took its address" in next(e.reason for e in story.told() if isinstance(e, c.NodeGone))
    assert story.launched() == [("n9", "a/2")]


def test_registering_twice_or_late_changes_nothing(story):
    before = dict(story.state.nodes), dict(story.state.executors), story.told()
    story.node("n1", cores=99, epoch=1)
    story.node("n1", cores=99, epoch=0)
    assert (dict(story.state.nodes), dict(story.state.executors), story.told()) == before
    assert story.last.changed == set()


def test_registering_anew_makes_the_books_agree(story):
    """n1 came back with nothing: what it ran is gone and is replaced; what it uses is counted anew."""
    story.node("n1", cores=2, epoch=2)
    gone = [e for e in story.told() if isinstance(e, c.ExecutorGone)]
    assert [e.executor_id for e in gone] == ["a/0"]
    assert story.launched() == [("n1", "a/2")]
    assert (story.state.nodes["n1"].cores, story.state.nodes["n1"].cores_used) == (2, 2)


def test_an_executor_whose_death_is_reported_twice_dies_once(story):
    for _ in range(2):
        assert story.exited("a/0", signal=9, log_tail="Killed").done
    gone = [event for event in story.told() if isinstance(event, c.ExecutorGone)]
    assert gone == [c.ExecutorGone("a/0", "n1", "killed by signal 9", 0, 9, "Killed")]
    assert story.state.nodes["n1"].cores_used == 4  # its one successor
    assert story.launched() == [("n1", "a/2")]


@pytest.mark.parametrize("change", [{"node_id": "n2"}, {"attempt": 2}, {"executor_id": "a/7"}], ids=str)
def test_reports_about_something_else_do_nothing(story, change):
    fields = {"node_id": "n1", "epoch": 1, "application_id": "a", "executor_id": "a/0", "attempt": 1} | change
    before = story.told()
    story.say(c.ExecutorExited(**fields, signal=9))
    story.say(c.ExecutorReady(**fields, address="elsewhere:1"))
    assert story.told() == before
    assert story.state.executors["a/0"].address == "a/0@n1"


def test_ready_may_be_learnt_from_a_heartbeat():
    story = Story()
    story.node("n1")
    story.application()
    story.beat("n1", executors=running(story, "a/0"))
    story.ready("a/0")
    assert [type(event) for event in story.told()].count(c.ExecutorLaunched) == 1


def test_an_executor_nobody_knows_is_stopped(story):
    story.beat("n1", executors=[*running(story, "a/0"), c.RunningExecutor("z/0", "z", 1, 1, "x:1")])
    assert story.stops() == {("z/0", True)}


def test_the_end_of_an_application_stops_its_executors_and_removes_its_blocks_everywhere(story):
    story.node("n3")
    story.launched()
    story.say(c.UnregisterApplication("a", "done"))
    assert {executor_id for executor_id, now in story.stops() if now} == {"a/0", "a/1", "a/2"}
    assert story.removals() == {("n1", "a"), ("n2", "a"), ("n3", "a")}
    assert story.told() == []
    assert story.state.ended["a"] == "done"
    story.say(ApplicationRemoved("n1", "a"))
    for node in ("n1", "n2", "n3"):
        story.beat(node)
    story.later(6)
    assert story.removals() == {("n2", "a"), ("n3", "a")}  # asked again until done
    assert {executor_id for executor_id, _ in story.stops()} == {"a/0", "a/1", "a/2"}
    story.say(c.UnregisterApplication("a", "done"))
    assert story.removals() == set()


def test_a_driver_whose_stream_broke_and_that_stays_silent_is_gone_within_seconds(story):
    for _ in range(60):  # an open stream is a sign of life, however long its threads wait for the GIL
        story.beat("n1")
        story.beat("n2")
        story.later(1)
    assert "a" in story.state.applications
    story.say(WatchClosed("a"))
    for _ in range(9):
        story.beat("n1")
        story.beat("n2")
        story.later(1)
    assert "a" in story.state.applications
    story.later(2)
    assert "a" not in story.state.applications
    assert story.say(c.ApplicationHeartbeat("a")) == c.HeartbeatReply(known=False)
    assert not story.say(c.SubmitJob("a", 1, ())).done


def test_a_driver_that_watches_again_in_time_stays(story):
    story.say(WatchClosed("a"))
    story.later(8)
    story.say(WatchOpened("a"))
    story.later(5)
    assert "a" in story.state.applications


def test_a_watcher_gets_what_it_missed_or_a_snapshot(story):
    everything = story.told()
    assert story.told(after=len(everything) - 1) == everything[-1:]
    assert story.told(after=len(everything)) == []
    [snapshot] = story.told(after=len(everything) + 5)  # seen in a life of the manager that we do not know
    assert [e.executor_id for e in snapshot.executors] == ["a/0", "a/1"]


def test_registering_an_application_twice_changes_nothing(story):
    before = story.told()
    story.application(instances=99)
    assert story.told() == before
    assert story.launched() == []


def test_a_draining_node_gets_nothing_new_and_its_executors_end_gently(story):
    assert story.say(c.DrainNode("n1", "upgrade")).done
    assert story.say(c.DrainNode("n1", "upgrade")).done
    assert story.stops() == {("a/0", False)}
    story.exited("a/0", asked=True)
    assert story.launched() == []
    assert story.state.nodes["n1"].state is NodeState.DRAINING
    answer = story.say(c.DrainNode("nx", ""))
    assert (answer.done, answer.reason) == (False, "no node nx; there is: n1, n2")


def test_without_a_journal_running_executors_are_adopted_when_their_application_comes_back():
    story = Story(Policy(recovery_s=30))
    story.state.began_at = story.now
    has = [c.RunningExecutor("a/5", "a", 4, 4 * GIB, "x:1")]
    assert story.node("n1", epoch=4, executors=has).stop_executors == ()
    story.application()
    assert story.launched() == []
    assert [event.executor_id for event in story.told() if isinstance(event, c.ExecutorLaunched)] == ["a/5"]
    story.exited("a/5", signal=9)
    assert story.up() == ["a/6"]


def test_adopted_executors_whose_application_does_not_come_back_are_stopped():
    story = Story(Policy(recovery_s=5))
    story.state.began_at = story.now
    has = [c.RunningExecutor("a/5", "a", 4, 4 * GIB, "x:1")]
    story.node("n1", executors=has)
    story.later(4)
    assert story.stops() == set()
    story.beat("n1", executors=has)
    story.later(2)
    assert story.stops() == {("a/5", True)}


def test_a_launch_that_is_refused_while_it_is_being_stopped_gives_the_cores_back(story):
    """Found by the simulation: the stop found nothing to end, and nobody ever said so."""
    story.node("n3", cores=2)
    [(_, executor_id)] = story.launched()
    story.say(c.UnregisterApplication("a", "done"))
    story.say(LaunchRefused(executor_id, 1, "unreachable"))
    assert story.state.nodes["n3"].cores_used == 0


def test_an_executor_that_heartbeats_lack_for_long_is_gone(story):
    for _ in range(12):
        story.beat("n1")
        story.beat("n2", executors=())
        story.later(1)
    assert [e.executor_id for e in story.told() if isinstance(e, c.ExecutorGone)] == ["a/1"]
    assert story.launched() == [("n2", "a/2")]
    story.later(1)
    story.beat("n2", executors=())  # not yet launched there: that is not missing
    assert "a/2" in story.state.executors


TWICE = [
    c.RegisterNode("n3", 1, "h", "n3:1", "n3:2", 2, GIB),
    c.NodeHeartbeat("n1", 1),
    c.UnregisterNode("n1", 1, "bye"),
    c.ExecutorReady("n1", 1, "a", "a/0", 1, "a/0@n1"),
    c.ExecutorExited("n1", 1, "a", "a/0", 1, signal=9),
    c.DrainNode("n1", "upgrade"),
    c.RegisterApplication("b", "b", "u", "h", 1),
    c.ApplicationHeartbeat("a", (c.StageProgress(1, 2),)),
    c.UnregisterApplication("a", "done"),
    c.SubmitJob("a", 1, (c.StageDemand(1, "map", 2),)),
    c.JobEnded("a", 1, "succeeded"),
    c.RequestExecutors("a", 1, 1),
    c.ReleaseExecutor("a", "a/1", "idle"),
    ApplicationRemoved("n1", "a"),
    LaunchRefused("a/0", 1, "late"),
    NodeRefusesConnections("n1", 1),
]


@pytest.mark.parametrize("message", TWICE, ids=lambda message: type(message).__name__)
def test_the_second_time_does_nothing(story, message):
    first = story.say(message)
    events, jobs = story.told(), dict(getattr(story.state.applications.get("a"), "jobs", {}))
    second = story.say(message)
    assert second == first
    assert (story.last.changed, story.last.actions, story.last.notify) == (set(), [], set())
    assert story.told() == events
    assert getattr(story.state.applications.get("a"), "jobs", {}) == jobs


def test_an_application_that_said_it_is_over_is_not_brought_back_by_a_late_registration(story):
    registration = c.RegisterApplication("a", "name", "user", "host", 1)
    story.say(c.UnregisterApplication("a", "done"))
    assert story.say(registration) == c.Ack(False, "application a has ended")
    assert "a" not in story.state.applications


def test_a_late_submission_of_an_ended_job_does_nothing(story):
    submit = c.SubmitJob("a", 1, (c.StageDemand(0, "count", 4),))
    story.say(submit)
    story.say(c.JobEnded("a", 1, "succeeded"))
    assert story.say(submit) == c.Ack(False, "job 1 has ended")
    assert story.state.applications["a"].jobs == {}
