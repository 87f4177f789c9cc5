"""The part of a lease that never changes while its process runs: its kind, its place and its deployment."""

from __future__ import annotations

import socket
import time
from typing import Any

from channel_layer.messaging.node_context import NodeContext
from channel_layer.process.local_process import identity
from channel_layer.protocol.deployment import fleet_of, spelled
from channel_layer.protocol.packets import VERSION
from channel_layer.version import PACKAGE_VERSION


def lease_facts(context: NodeContext) -> dict[str, Any]:
    """The fields that the lease contains as long as the process runs."""
    settings = context.settings
    belongs_to = {
        "app": spelled(settings.app),
        "mixed_apps": settings.allow_mixed_apps,
        "fleet": fleet_of(settings.generation),
        "admin_port": settings.admin_port,
    }
    return {
        "role": context.role,
        "version": VERSION,
        "package_version": PACKAGE_VERSION,
        **{name: value for name, value in belongs_to.items() if value},
        "host": socket.gethostname(),
        **identity(),
        "started": int(time.clock_gettime(time.CLOCK_REALTIME)),
    }
