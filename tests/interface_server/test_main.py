"""How an interface server's process is put together, and how it ends."""

from __future__ import annotations

import subprocess
import sys

from interface_server.groups.fan_out import MESSAGES_MAX, SOCKETS_PER_TURN
from interface_server.server import InterfaceServer
from interface_server.settings import InterfaceSettings

BROKEN = """
import sys
import interface_server.__main__ as main
from interface_server.settings import InterfaceSettings

def broken(*_):
    raise RuntimeError("a bug of ours")

main.InterfaceServer = broken
sys.exit(main.run(InterfaceSettings()))
"""


def test_a_process_that_fails_in_a_way_that_nobody_thought_of_says_so() -> None:
    """Whoever keeps it alive must see a failure, and whoever reads the log where it was."""
    ended = subprocess.run([sys.executable, "-c", BROKEN], capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert "a bug of ours" in ended.stderr


async def test_what_connections_count_and_what_the_dispatcher_counts_is_reported_together() -> None:
    """P12. A message that was dropped is of no use in a counter that nobody reads."""
    server = InterfaceServer(InterfaceSettings())
    dispatcher = server._dispatcher
    for number in range(SOCKETS_PER_TURN + 1):
        dispatcher._membership.add("room", number)
    for _ in range(MESSAGES_MAX + 3):
        dispatcher.on_group_message("room", {"type": "websocket.send", "text": "x"})
    server._context.counters["refused.test"] += 1
    dispatcher.node.report({}, dispatcher.counters)
    told = dispatcher.node._lease._figures["counters"]
    assert (told["dropped.push_queue_full"], told["refused.test"]) == (3, 1)
