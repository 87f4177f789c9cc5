"""Everything that a schedule does, in one line: `PYTHONHASHSEED=0 python -m tests.simulation.transcript SEED…`.

The line holds a digest of all bytes that its processes have sent to Redis, each with its moment, and of what was told. Two builds of
one source that decide alike print the same lines. The first line names the file of a core module: of the build that runs.
"""

from __future__ import annotations

import hashlib
import sys
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
#: Interpreted in both builds: the simulation watches the instances of a worker by a class of its own that inherits from theirs.
WATCHED = ("worker.asgi.instance", "worker.asgi.websocket")


class Sources:
    """Finds the sources of what is watched."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """The source of a module, if it is watched."""
        return spec_from_file_location(name, ROOT / f"{name.replace('.', '/')}.py") if name in WATCHED else None


sys.meta_path.insert(0, Sources)  # type: ignore[arg-type]

from channel_layer.protocol import link  # noqa: E402 - the finder comes first
from tests.simulation.network import Pipe  # noqa: E402 - the same
from tests.simulation.schedules import run  # noqa: E402 - the same


def digest(seed: str) -> str:
    """The digest of one schedule, with the number of writes, and what it has broken."""
    seen, writes = hashlib.sha256(), 0
    write = Pipe.write

    def noted(pipe: Pipe, data: Any) -> None:
        nonlocal writes
        writes += 1
        seen.update(f"{pipe._process.number} {pipe._network.clock.now!r} {len(data)} ".encode() + bytes(data))
        write(pipe, data)

    Pipe.write = noted  # type: ignore[method-assign]
    try:
        world, broken = run(seed)
    finally:
        Pipe.write = write  # type: ignore[method-assign]
    seen.update("\n".join(world.record.told).encode())
    return f"{seen.hexdigest()[:32]} {writes} {broken}"


if __name__ == "__main__":
    print(link.__file__)
    for argument in sys.argv[1:]:
        print(argument, digest(argument))
