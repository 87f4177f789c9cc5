"""Refuses the start of a process that cannot decrypt another one under its prefix, or cannot be decrypted by it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from channel_layer.encryption.agreement import disagreement
from channel_layer.errors import EncryptionMismatch
from channel_layer.messaging.node_context import NodeContext

POLL_S = 0.5

Leases = Mapping[str, Mapping[str, Any]]


async def check_keys(context: NodeContext, read_leases: Callable[[], Awaitable[Leases]]) -> None:
    """Raise EncryptionMismatch if this process and another one disagree for longer than a lease.

    Until then the other one may be dead, or about to read a file of keys again. Of two that start together at least one sees the other
    if each checks again when its own lease is written.
    """
    loop, settings = asyncio.get_running_loop(), context.settings
    end = loop.time() + settings.lease_ttl_s
    while why := disagreement(context.encryption.key_ids, await read_leases(), settings.prefix):
        if loop.time() > end:
            raise EncryptionMismatch(why)
        await asyncio.sleep(POLL_S)
        context.encryption.refresh()
