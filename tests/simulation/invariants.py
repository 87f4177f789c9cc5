"""What must be true in every schedule, after everything healed and time went by."""

from __future__ import annotations

from channel_layer.messaging.group_sequence import count_missed
from channel_layer.protocol.codec import unpack_batch
from interface_server.connections.interfaces import EndReason
from interface_server.connections.transitions import ConnectionState
from tests.simulation.applications import Instance
from tests.simulation.clients import Client
from tests.simulation.sockets import Socket
from tests.simulation.world import World

Key = tuple[str, int, int]


def unsettled(world: World) -> list[str]:
    """Who still waits for something that nobody will bring."""
    return [
        *filter(None, (_waiting(world, client) for client in world.clients)),
        *filter(None, (_for_nobody(world, instance) for instance in world.instances)),
    ]


def violations(world: World) -> list[str]:
    """All that this schedule has broken."""
    errors = [f"{process.role} raised {error!r}" for process in world.processes for error in process.loop.errors]
    return [
        *world.record.broken,
        *unsettled(world),
        *_started_twice(world),
        *_started_though_withdrawn(world),
        *_started_though_refused(world),
        *leaks(world),
        *_malformed(world),
        *_missed_unnoticed(world),
        *errors,
    ]


def keys_without_ttl(world: World) -> list[str]:
    """P11, once everybody has gone."""
    stayed = [f"{process.role} has not left" for process in world.processes if process.alive]
    return stayed + [f"P11: {key.decode()} has no TTL" for key in world.redis.without_ttl()]


def _waiting(world: World, client: Client) -> str:
    if client.over or not client.process.alive:
        return ""
    name = client.name
    if client.upstream is None:
        return f"{name} has not been let in"
    if not client.accepted:
        return f"hang: {name} has no end ({client.upstream.connection.state.name}, owner {client.upstream.connection.owner})"
    bound = [instance for instance in world.instances if instance.process.alive and _bound(instance, client)]
    if not bound:
        return f"hang: {name} is open with nobody behind it ({client.upstream.connection.state.name}, {client.upstream.connection.owner})"
    if client.echoes == client.parts:
        return ""
    if (
        client.upstream.connection.deaths
        and client.sent_parts == client.parts
        and not client.upstream.connection.waiting
    ):
        if bound[0].line.taken == client.upstream.connection.sent:
            return ""  # what is missing has died
    return f"P1: {name} is open and has {client.echoes} of {client.parts} echoes"


def _bound(instance: Instance | Socket, client: Client) -> bool:
    upstream = client.upstream
    interface, number, epoch = instance.key
    owner = instance.process.dispatcher.node.name
    return bool(
        not instance.over
        and upstream is not None
        and client.process.dispatcher.node.name == interface
        and upstream.connection.number == number
        and upstream.connection.is_from_owner(owner, epoch)
    )


def _for_nobody(world: World, instance: Instance | Socket) -> str:
    if instance.over or not instance.process.alive:
        return ""
    if any(_bound(instance, client) for client in world.clients if client.process.alive and not client.over):
        return ""
    return f"P8: instance {instance.number} of {instance.client} runs on for nobody in {instance.process.role}"


def _started_twice(world: World) -> list[str]:
    requests = [instance for instance in world.instances if isinstance(instance, Instance)]
    posts = [request.client for request in requests if request.method == "POST"]
    return [f"P3: {client} was started twice" for client in sorted(set(posts)) if posts.count(client) > 1]


def _started_though_withdrawn(world: World) -> list[str]:
    withdrawn: set[Key] = set()
    for batch in world.redis.withdrawn:
        interface, packets = unpack_batch(batch)
        withdrawn.add((interface, packets[0][1], packets[0][2]))
    return [
        f"P3: {instance.client} was started though withdrawn"
        for instance in world.instances
        if instance.key in withdrawn
    ]


def _started_though_refused(world: World) -> list[str]:
    """A 503 says that nothing was begun, and asks to send it again: also where that would do harm."""
    refused = {client.name for client in world.clients if client.over == EndReason.UNAVAILABLE.name}
    started = {instance.client for instance in world.instances}
    return [
        f"P3: {client} was told that Redis is not available, and was started" for client in sorted(refused & started)
    ]


def _malformed(world: World) -> list[str]:
    """Nobody here says anything that is malformed; a mistake of ours must not pass for that."""
    dispatchers = [process.dispatcher for process in world.processes if process.started]
    mistakes = ("packets.malformed", "internal.illegal_transition")
    return [
        f"{dispatcher.node.name}: {kind}"
        for dispatcher in dispatchers
        for kind in mistakes
        if dispatcher.counters[kind]
    ]


def _missed_unnoticed(world: World) -> list[str]:
    """P10: all that was published to a group has come to a process that is subscribed, or is counted."""
    found = []
    for process in world.living("interface"):
        node = process.dispatcher.node
        for group, last in node._groups._sequences._last.items():
            counter = int(world.redis.keys.get(node.context.keys.group_sequence(group).encode(), 0))
            if count_missed(last or 0, counter):
                found.append(f"P10: {process.role} knows message {last} of {counter} to {group}")
    return found


def leaks(world: World) -> list[str]:
    """What a process remembers beyond the connections that it has. White-box on purpose: memory is a promise too (P5)."""
    found = []
    for process in world.living():
        dispatcher = process.dispatcher
        owners: dict[str, int] = {}
        if process.role.startswith("interface"):
            if dispatcher._own is not None:
                owners = dict.fromkeys(dispatcher._own._writers, 1)  # a way to a worker's own channel is a reason, too
            for worker in dispatcher.direct.workers.by_name:  # and so is an invitation
                owners[worker] = owners.get(worker, 0) + 1
            for upstream in dispatcher._connections.values():
                if upstream.connection.state is ConnectionState.OWNED:
                    owners[upstream.connection.owner] = owners.get(upstream.connection.owner, 0) + 1
            waiting = (
                dispatcher._timeouts._queued,
                dispatcher._timeouts._resuming,
                dispatcher._timeouts._overdue,
                dispatcher.deliveries.held,
            )
        else:
            for line in dispatcher.downstreams:
                owners[line.key[0]] = owners.get(line.key[0], 0) + 1
            waiting = (
                dispatcher.consumer.adoption._under_way,
                dispatcher.direct._waiting,
                {kind: count for kind, count in dispatcher.registry.reserved.items() if count},
            )
        held = dispatcher.node._peers.counts._held
        if held != owners:
            found.append(f"leak: {process.role} watches {held} and shares connections with {owners}")
        if any(waiting):
            found.append(f"leak: {process.role} still waits: {waiting}")
        kept = [
            node
            for node, destination in dispatcher.node._outbox._destinations.items()
            if destination.waiting or destination.under_way
        ]
        if kept:
            found.append(f"leak: {process.role} keeps packets for {kept}")
    return found
