"""A seeded simulation: nodes and drivers that come, die and return, messages that are late, doubled or lost, a manager that is killed.

Safety, after every step:
  never_overcommitted        what a node's executors use is within what it has, and is what the books say
  owned_or_ending            an executor belongs to an application, is stopping, or waits within the recovery time for its owner
  sequences_have_no_gaps     cluster events of an application are numbered 1, 2, 3, ... and never change
  journal_is_the_state       reading the journal gives the state (checked at every crash)
  launched_once              no executor id is launched twice
Liveness, once nothing fails any more:
  everyone_is_served         each application has its executors or says why not, and no final reason stands while one runs
  watchers_agree             what a watcher learnt from events and snapshots is exactly what runs
  nothing_is_left            no removal of blocks is pending, no executor is without an owner
"""

from __future__ import annotations

import random

import pytest

from quiver_manager import allocation
from quiver_manager.core import step
from quiver_manager.feed import events_after
from quiver_manager.journal import Journal
from quiver_manager.model import (
    ApplicationRemoved,
    ExecutorState,
    Launch,
    LaunchRefused,
    NodeState,
    Policy,
    Probe,
    RemoveBlocks,
    Stop,
    Tick,
    WatchClosed,
    WatchOpened,
)
from quiver_proto import cluster as c

GIB = 1 << 30
POLICY = Policy(
    node_timeout_s=6, application_timeout_s=5, recovery_s=8, no_node_limit_s=10**6, max_launch_failures=10**6, max_executor_deaths=10**6
)


class Node:
    """A node daemon: its executors with their starting time left, or None once ready."""

    def __init__(self, name, cores):
        self.name, self.cores, self.epoch, self.alive = name, cores, 0, True
        self.executors = {}
        self.cut_off = False

    def rows(self):
        return tuple(
            c.RunningExecutor(i, i.split("/")[0], cores, GIB, f"{i}@{self.name}" if ready else "")
            for i, (cores, ready) in self.executors.items()
        )

    def registration(self):
        self.epoch += 1
        return c.RegisterNode(
            self.name, self.epoch, self.name, f"{self.name}:1", f"{self.name}:2", self.cores, 64 * GIB, executors=self.rows()
        )


class Driver:
    """A driver: what it asked for, and the executors that it believes to have."""

    def __init__(self, name, request):
        self.name, self.request, self.alive, self.watching = name, request, True, False
        self.sequence, self.executors = 0, {}

    def registration(self):
        return c.RegisterApplication(self.name, self.name, "u", "h", 1, self.request)

    def learn(self, event):
        self.sequence = event.sequence
        match event.event:
            case c.ExecutorLaunched(executor_id=executor_id, node_id=node_id):
                self.executors[executor_id] = node_id
            case c.ExecutorGone(executor_id=executor_id):
                self.executors.pop(executor_id, None)
            case c.NodeGone(node_id=node_id):
                self.executors = {e: n for e, n in self.executors.items() if n != node_id}
            case c.Snapshot(executors=executors):
                self.executors = {row.executor_id: row.node_id for row in executors}


class World:
    def __init__(self, seed, path):
        self.random, self.path, self.now = random.Random(seed), str(path), 1000.0
        self.journal = Journal(self.path)
        self.state = self.journal.recover(POLICY, 0.0, self.now)
        self.nodes, self.drivers, self.number = {}, {}, 0
        self.wire = []
        self.launched, self.history = set(), {}
        self.calm = False

    # ---- the world around the manager ----

    def send(self, event):
        """To the manager: late, twice, or (in a storm) not at all where the sender would try again."""
        chance = self.random.random()
        if not self.calm and chance < 0.1 and isinstance(event, (c.NodeHeartbeat, c.ApplicationHeartbeat)):
            return
        for _ in range(2 if chance > 0.9 else 1):
            self.wire.append((self.now + (0 if self.calm else self.random.random() * 1.5), self.random.random(), event))

    def tell_manager(self, event):
        before = {a: list(application.events) for a, application in self.state.applications.items()}
        out = step(self.state, event, self.now)
        self.journal.write(self.state, out.changed)
        self.check(before)
        for action in out.actions:
            self.act(action)
        self.answer(event, out.reply)

    def act(self, action):
        node = self.nodes.get(action.node_id)
        reachable = node is not None and node.alive and not node.cut_off
        match action:
            case Launch():
                assert action.executor_id not in self.launched, "launched_once"
                self.launched.add(action.executor_id)
                executor = self.state.executors[action.executor_id]
                if reachable and (self.calm or self.random.random() > 0.1):
                    node.executors[action.executor_id] = (executor.cores, False)
                else:
                    self.send(LaunchRefused(action.executor_id, 1, "unreachable"))
            case Stop():
                if reachable and action.executor_id in node.executors and (self.calm or self.random.random() > 0.2):
                    self.end_executor(node, action.executor_id, asked=True)
            case RemoveBlocks():
                if reachable and (self.calm or self.random.random() > 0.2):
                    for executor_id in [i for i in node.executors if i.startswith(action.application_id + "/")]:
                        self.end_executor(node, executor_id, asked=True)
                    self.send(ApplicationRemoved(action.node_id, action.application_id))
            case Probe():
                pass

    def end_executor(self, node, executor_id, asked):
        del node.executors[executor_id]
        self.send(c.ExecutorExited(node.name, node.epoch, executor_id.split("/")[0], executor_id, 1, signal=0 if asked else 9, asked=asked))

    def answer(self, event, reply):
        match event, reply:
            case c.NodeHeartbeat(), c.HeartbeatReply(known=False):
                node = self.nodes.get(event.node_id)
                if node and node.alive and not node.cut_off and event.epoch == node.epoch:
                    self.tell_manager(node.registration())
            case c.RegisterNode(), c.NodeRegistered():
                for executor_id in reply.stop_executors:
                    node = self.nodes[event.node_id]
                    if executor_id in node.executors:
                        self.end_executor(node, executor_id, asked=True)
            case c.ApplicationHeartbeat(), c.HeartbeatReply(known=False):
                driver = self.drivers.get(event.application_id)
                if driver and driver.alive:
                    driver.watching = False
                    self.tell_manager(driver.registration())

    def beat(self):
        for node in self.nodes.values():
            if not node.alive or node.cut_off:
                continue
            for executor_id, (cores, ready) in list(node.executors.items()):
                if not ready and self.random.random() < 0.7:
                    node.executors[executor_id] = (cores, True)
                    self.send(
                        c.ExecutorReady(node.name, node.epoch, executor_id.split("/")[0], executor_id, 1, f"{executor_id}@{node.name}")
                    )
            self.send(c.NodeHeartbeat(node.name, node.epoch, node.rows()))
        for driver in self.drivers.values():
            if driver.alive:
                self.send(c.ApplicationHeartbeat(driver.name))
                self.watch(driver)

    def watch(self, driver):
        if not driver.watching and driver.name in self.state.applications:
            driver.watching = True
            self.tell_manager(WatchOpened(driver.name))
        for event in events_after(self.state, driver.name, driver.sequence) or ():
            driver.learn(event)

    def disturb(self):
        living = [node for node in self.nodes.values() if node.alive]
        drivers = [driver for driver in self.drivers.values() if driver.alive]
        self.number += 1
        match self.random.randrange(14):
            case 0 | 1 if len(living) < 6:
                node = self.nodes[f"n{self.number}"] = Node(f"n{self.number}", self.random.choice([1, 2, 4]))
                self.tell_manager(node.registration())
            case 2 | 3 if len(drivers) < 4:
                request = self.random.choice(
                    [c.ExecutorRequest(), c.ExecutorRequest(3), c.ExecutorRequest(0, 1, GIB), c.ExecutorRequest(0, 0, 0, 3)]
                )
                driver = self.drivers[f"a{self.number}"] = Driver(f"a{self.number}", request)
                self.tell_manager(driver.registration())
            case 4 if living:
                self.random.choice(living).alive = False
            case 5 if living:
                node = self.random.choice(living)
                node.cut_off = not node.cut_off
            case 6 if drivers:
                driver = self.random.choice(drivers)
                driver.alive = False
                if driver.watching:
                    self.send(WatchClosed(driver.name))
            case 7 if drivers:
                driver = self.random.choice(drivers)
                driver.alive = False
                self.send(c.UnregisterApplication(driver.name, "done"))
                if driver.watching:
                    self.send(WatchClosed(driver.name))
            case 8 | 9 if living:
                node = self.random.choice(living)
                if node.executors:
                    self.end_executor(node, self.random.choice(sorted(node.executors)), asked=False)
            case 10 if drivers:
                driver = self.random.choice(drivers)
                if driver.executors:
                    self.send(c.ReleaseExecutor(driver.name, self.random.choice(sorted(driver.executors)), "idle"))
            case 11 if drivers:
                self.send(c.RequestExecutors(self.random.choice(drivers).name, self.number, self.random.randrange(1, 4)))
            case 12:
                self.crash()

    def crash(self):
        """kill -9 and a new start: what was on the wire is lost, streams break, the journal is all there is."""
        self.journal.close()
        self.journal = Journal(self.path)
        held, self.state = self.state, self.journal.recover(POLICY, 0.0, self.now)
        assert self.books(self.state) == self.books(held), "journal_is_the_state"
        self.wire = []
        for driver in self.drivers.values():
            driver.watching = False

    @staticmethod
    def books(state):
        return (
            {i: (n.epoch, n.address, n.cores, n.memory_bytes, n.removals) for i, n in state.nodes.items()},
            {i: (e.application_id, e.node_id, e.cores, e.memory_bytes, e.address, e.state, e.told) for i, e in state.executors.items()},
            {
                i: (a.request, a.order, a.target, a.request_number, a.next_executor, a.sequence, a.waiting, a.events)
                for i, a in state.applications.items()
            },
        )

    def run(self, seconds, storm):
        self.calm = not storm
        end = self.now + seconds
        while self.now < end:
            self.now += 0.5
            if storm and self.random.random() < 0.5:
                self.disturb()
            self.beat()
            due = [entry for entry in self.wire if entry[0] <= self.now]
            self.wire = [entry for entry in self.wire if entry[0] > self.now]
            for _, _, event in sorted(due, key=lambda entry: entry[:2]):
                self.tell_manager(event)
            self.tell_manager(Tick())

    # ---- properties ----

    def check(self, before):
        state = self.state
        for node in state.nodes.values():
            held = state.executors_on(node.node_id)
            used = sum(e.cores for e in held), sum(e.memory_bytes for e in held)
            assert used == (node.cores_used, node.memory_used), "never_overcommitted: the books are wrong"
            assert node.cores_used <= node.cores, "never_overcommitted"
        for executor in state.executors.values():
            assert executor.node_id in state.nodes, "owned_or_ending: on a node that is gone"
            young = self.now - state.began_at <= POLICY.recovery_s + 1
            assert executor.application_id in state.applications or executor.state is ExecutorState.STOPPING or young, "owned_or_ending"
        for name, application in state.applications.items():
            numbers = [event.sequence for event in application.events]
            assert numbers == list(range(application.sequence - len(numbers) + 1, application.sequence + 1)), "sequences_have_no_gaps"
            old = before.get(name, [])
            assert application.events[: len(old)] == old, "sequences_have_no_gaps: an event changed"

    def check_calm(self):
        state = self.state
        living = {d.name for d in self.drivers.values() if d.alive}
        assert set(state.applications) == living
        assert {n.node_id for n in state.nodes.values()} == {n.name for n in self.nodes.values() if n.alive and not n.cut_off}
        for application in state.applications.values():
            mine = state.executors_of(application.application_id)
            short = len(mine) < allocation.wanted(application, state)
            assert not short or allocation.place(application, state) is None, "everyone_is_served"
            if not mine and application.target != 0:
                assert application.waiting.reason, "everyone_is_served"
            if mine:
                assert not application.waiting.final, "everyone_is_served"
            driver = self.drivers[application.application_id]
            assert driver.executors == {e.executor_id: e.node_id for e in mine if e.state is ExecutorState.RUNNING}, "watchers_agree"
        for node in state.nodes.values():
            assert node.state is NodeState.ALIVE
            assert not node.removals, "nothing_is_left"
            running = {e.executor_id for e in state.executors_on(node.node_id)}
            assert set(self.nodes[node.node_id].executors) == running, "nothing_is_left"


@pytest.mark.parametrize("seed", range(30))
def test_a_storm_and_the_calm_after_it(seed, tmp_path):
    world = World(seed, tmp_path / "journal.db")
    try:
        for _ in range(3):
            world.run(seconds=40, storm=True)
            for node in world.nodes.values():
                node.cut_off = False
            world.run(seconds=40, storm=False)
            world.check_calm()
        assert world.launched
    finally:
        world.journal.close()
