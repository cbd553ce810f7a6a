"""A manager's core with hands: says things to it and collects what it does, without sockets or a clock."""

from __future__ import annotations

from quiver_manager.core import step
from quiver_manager.feed import events_after
from quiver_manager.model import Launch, Policy, RemoveBlocks, State, Stop, Tick
from quiver_proto import cluster as c

GIB = 1 << 30


class Story:
    """Nodes are named `n1`, applications `a`. Actions pile up in `actions` until `take` has them."""

    def __init__(self, policy: Policy | None = None, state: State | None = None):
        self.state = state or State(policy or Policy(), 1, 0.0, 0.0)
        self.now = 100.0
        self.actions = []
        self.last = None

    def say(self, event):
        self.last = step(self.state, event, self.now)
        self.actions += self.last.actions
        return self.last.reply

    def later(self, seconds):
        """Time passes, in ticks of half a second."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.5)
            self.say(Tick())

    def take(self, kind):
        taken = [action for action in self.actions if isinstance(action, kind)]
        self.actions = [action for action in self.actions if not isinstance(action, kind)]
        return taken

    def node(self, node_id, cores=4, memory=4 * GIB, epoch=1, executors=()):
        address = f"{node_id}:1"
        return self.say(
            c.RegisterNode(node_id, epoch, f"host-{node_id}", address, f"{node_id}:2", cores, memory, executors=tuple(executors))
        )

    def beat(self, node_id, epoch=1, executors=None):
        """A heartbeat with these executors, else with those that should run there."""
        if executors is None:
            executors = [
                c.RunningExecutor(e.executor_id, e.application_id, e.cores, e.memory_bytes, e.address, 1)
                for e in self.state.executors_on(node_id)
                if e.address
            ]
        return self.say(c.NodeHeartbeat(node_id, epoch, tuple(executors)))

    def application(self, application_id="a", **request):
        conf = request.pop("conf", {})
        return self.say(
            c.RegisterApplication(
                application_id, "name", "user", "host", 1, c.ExecutorRequest(**request), c.ExecutorEnvironment(7, conf=conf)
            )
        )

    def launched(self):
        """(node, executor) of the launches since the last time."""
        return [(action.node_id, action.executor_id) for action in self.take(Launch)]

    def ready(self, executor_id):
        executor = self.state.executors[executor_id]
        return self.say(c.ExecutorReady(executor.node_id, 1, executor.application_id, executor_id, 1, f"{executor_id}@{executor.node_id}"))

    def up(self):
        """All that was launched becomes ready; the executor ids."""
        started = [executor_id for _, executor_id in self.launched()]
        for executor_id in started:
            self.ready(executor_id)
        return started

    def exited(self, executor_id, **fields):
        executor = self.state.executors.get(executor_id)
        node, application = (executor.node_id, executor.application_id) if executor else ("n1", executor_id.split("/")[0])
        return self.say(c.ExecutorExited(node, 1, application, executor_id, 1, **fields))

    def told(self, application_id="a", after=0):
        """What a watcher that has seen `after` is sent."""
        return [event.event for event in events_after(self.state, application_id, after) or ()]

    def waits_for(self, application_id="a"):
        return self.state.applications[application_id].waiting

    def stops(self):
        return {(action.executor_id, action.now) for action in self.take(Stop)}

    def removals(self):
        return {(action.node_id, action.application_id) for action in self.take(RemoveBlocks)}
