"""What can befall the simulated world: each fault is one line of a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from channel_layer.redis import scripts as redis_scripts
from tests.simulation.simulated_redis import WRITES_LOST_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.network import Pipe
    from tests.simulation.process import Process
    from tests.simulation.world import World

    Fault = Callable[[World, Process], None]


def befall(world: World) -> None:
    """One fault, drawn by the world's chance: now, or when a command of some kind is next on its way."""
    living = world.living()
    if world.random.random() < 0.65:
        _ambush(world)
    elif living:
        world.random.choice(_likely(world))(world, world.random.choice(living))


def befall_workers(world: World) -> None:
    """What is planned, or comes of a worker's own: it is replaced, or killed."""
    workers = [process for process in world.living("worker") if not process.leaving]
    if not workers:
        return
    process = world.random.choice(workers)
    if world.record.weather == "kills":
        kill(world, process)
    else:
        world.replace(process)


def _ambush(world: World) -> None:
    """Most of what can go wrong goes wrong while a command is under way, and that is a short time."""
    name, mark = world.random.choice(MARKS_WHILE_FULL if world.record.weather == "full" else MARKS)
    fault = world.random.choice((None, None, None, *_likely(world)))

    def spring(process: Process, pipe: Pipe) -> None:
        if not process.alive:
            return
        world.record.tell(f"while {process.role} sends {name}:")
        if fault is not None:
            fault(world, process)
        elif pipe.whole:
            noticed_after_s = world.random.choice((0.0, 0.0, 0.05, 1.0))
            world.record.tell(f"{process.role} loses this connection, notices after {noticed_after_s} s")
            process.lose(process.pipes.index(pipe), noticed_after_s)

    world.network.armed.append((mark, spring))


def _likely(world: World) -> tuple[Fault, ...]:
    return LIKELY.get(world.record.weather, FAULTS)


def _again(world: World, process: Process) -> None:
    role = process.role.rstrip("0123456789")
    world.at(world.clock.now + world.random.uniform(0.1, 2.0), lambda: world.start(role))


def kill(world: World, process: Process) -> None:
    """kill -9, and a new one comes."""
    world.record.tell(f"{process.role} is killed")
    process.kill()
    _again(world, process)


def stop(world: World, process: Process) -> None:
    """SIGSTOP for a while: loop and lease."""
    seconds = world.random.choice((0.5, 2.0, 3.5, 6.0, 9.0))
    world.record.tell(f"{process.role} is stopped for {seconds} s")
    process.stop(seconds)


def block(world: World, process: Process) -> None:
    """The loop is kept by somebody; the lease goes on."""
    seconds = world.random.choice((0.2, 2.5, 6.0))
    world.record.tell(f"{process.role} is blocked for {seconds} s")
    process.block(seconds)


def lose_one(world: World, process: Process) -> None:
    """One connection is lost."""
    if process.pipes:
        noticed_after_s = world.random.choice((0.0, 0.0, 0.3, 5.0))
        index = world.random.randrange(len(process.pipes))
        world.record.tell(f"{process.role} loses connection {index}, notices after {noticed_after_s} s")
        process.lose(index, noticed_after_s)


def cut_off(world: World, process: Process) -> None:
    """One process does not reach Redis for a while."""
    seconds = world.random.choice((0.0, 0.3, 2.0, 4.5, 7.0))
    noticed_after_s = world.random.choice((0.0, 0.0, 0.5))
    world.record.tell(f"{process.role} is cut off for {seconds} s, notices after {noticed_after_s} s")
    process.cut_off(seconds, noticed_after_s)


def outage(world: World, _process: Process) -> None:
    """Nobody reaches Redis for a while; its data stays."""
    seconds = world.random.choice((0.05, 0.3, 1.0, 4.0, 6.0))
    world.record.tell(f"Redis is unreachable for {seconds} s")
    world.network.outage_until = world.clock.now + seconds
    for process in world.processes:
        if process.alive:
            process.cut_off(seconds, 0.0)


def come_back_empty(world: World, process: Process) -> None:
    """Redis is started anew and knows nothing."""
    outage(world, process)
    _another_life(world, None)


def fail_over(world: World, process: Process) -> None:
    """Another server is Redis now, and the last writes have not reached it."""
    outage(world, process)
    _another_life(world, world.random.randint(0, WRITES_LOST_MAX))


def flush(world: World, _process: Process) -> None:
    """FLUSHALL: everything is gone, and nobody loses a connection."""
    world.record.tell("Redis is emptied")
    world.record.data_lost = True
    world.redis.flush()


def fill(world: World, _process: Process) -> None:
    """Redis has no memory for a while, and refuses what would need some."""
    seconds = world.random.choice((0.05, 0.3, 1.0, 2.5))
    world.record.tell(f"Redis is full for {seconds} s")
    world.redis.full_until = world.clock.now + seconds


def fill_and_lose(world: World, process: Process) -> None:
    """Redis is full when a process comes back that has lost its connections, perhaps with some of what it had sent."""
    world.record.tell(f"{process.role} loses its connections")
    process.cut_off(0.0, 0.0)
    fill(world, process)


def _another_life(world: World, writes_lost: int | None) -> None:
    ahead_ms = world.random.choice((-6000, -150, 0, 0, 150, 4000))
    lost = "all" if writes_lost is None else f"{writes_lost} writes of"
    world.record.tell(f"Redis has lost {lost} its data, and its clock is {ahead_ms} ms ahead of the old one")
    world.record.data_lost = True
    world.redis.begin_anew(writes_lost, ahead_ms)


def slow(world: World, _process: Process) -> None:
    """Everything on the network takes long."""
    seconds = world.random.choice((0.3, 2.0))
    world.record.tell(f"the network is slow for {seconds} s")
    world.network.slow_until = world.clock.now + seconds


def drain(world: World, process: Process) -> None:
    """A worker is asked to leave."""
    if process.role.startswith("worker") and not process.leaving:
        world.record.tell(f"{process.role} drains")
        world.drain(process)
        _again(world, process)


#: Kinds of commands, and what tells them.
MARKS = (
    ("open", redis_scripts.OPEN.digest.encode()),
    ("open", redis_scripts.OPEN.digest.encode()),
    ("take", redis_scripts.TAKE.digest.encode()),
    ("take", redis_scripts.TAKE.digest.encode()),
    ("cancel", redis_scripts.CANCEL.digest.encode()),
    ("a batch", b"NOMKSTREAM"),
    ("a batch", b"NOMKSTREAM"),
    ("a read of its inbox", b"XREAD\r"),
    ("a read of a queue", b"XREADGROUP"),
    ("a claim", b"XAUTOCLAIM"),
    ("its greeting", b"INFO"),
    ("nothing, being greeted", b"redis_version"),
)

#: Where Redis is full again and again, most happens to an `open`, on whichever way: its first two bytes.
MARKS_WHILE_FULL = (*MARKS, *(12 * (("an `open`", b"\x9c\x01"),)))

FAULTS = (
    *(kill, kill, stop, stop, block, lose_one, lose_one, lose_one, cut_off, cut_off, outage, slow, drain, drain),
    *(come_back_empty, fail_over, fail_over),
)
#: Where Redis does not keep what it was told.
DATA_LOSSES = (
    come_back_empty,
    come_back_empty,
    come_back_empty,
    *(5 * (fail_over,)),
    kill,
    stop,
    lose_one,
    cut_off,
    drain,
)
#: Where it is emptied while it runs.
FLUSHES = (*(8 * (flush,)), kill, stop, stop, block, lose_one, lose_one, cut_off, outage, slow, drain, come_back_empty)
#: Where it is full again and again.
FULL = (
    *(6 * (fill,)),
    *(4 * (fill_and_lose,)),
    kill,
    stop,
    stop,
    block,
    lose_one,
    lose_one,
    cut_off,
    outage,
    slow,
    drain,
)
#: By weather; else FAULTS.
LIKELY = {"data losses": DATA_LOSSES, "flushes": FLUSHES, "full": FULL}
