"""The atomic steps: one `.lua` file each, with KEYS, ARGV, result and promise in its header.

A script is called by its hash. If Redis does not know it (a restart, SCRIPT FLUSH), nothing was done, and the same call is sent
with the text. That is the one case in which anything is sent a second time, and it is safe.
"""

from __future__ import annotations

import asyncio
import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import hiredis

from channel_layer.redis.connection import Answer, Argument, OnAnswer, RedisConnection, settle

#: By its path: `importlib.resources` would load `zipfile` and others into each process, for packages in archives.
FOLDER = Path(__file__).parents[1] / "scripts"


class Script:
    """One script, ready to be called."""

    __slots__ = ("digest", "name", "text")

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = (FOLDER / f"{name}.lua").read_text("utf-8")
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def call(self, connection: RedisConnection, on_answer: OnAnswer, key_count: int, *arguments: Argument) -> None:
        """Run the script. arguments: the keys, then the rest. `on_answer` as in RedisConnection.call."""

        def answered(answer: Answer) -> None:
            if isinstance(answer, hiredis.ReplyError) and str(answer).startswith("NOSCRIPT"):
                connection.call(on_answer, "EVAL", self.text, key_count, *arguments)
            else:
                on_answer(answer)

        connection.call(answered, "EVALSHA", self.digest, key_count, *arguments)

    async def execute(self, connection: RedisConnection, key_count: int, *arguments: Argument) -> Any:
        """Run the script and return its result. Raises as RedisConnection.execute."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.call(connection, partial(settle, future), key_count, *arguments)
        return await future


OPEN = Script("open")
TAKE = Script("take")
SEND = Script("send")
TAKE_MESSAGES = Script("take_messages")
HOLD_MESSAGES = Script("hold_messages")
CANCEL = Script("cancel")
MAKE_INBOX = Script("make_inbox")
MAKE_GROUP = Script("make_group")
FORGET_CONSUMERS = Script("forget_consumers")
PUBLISH = Script("publish")
JOIN_SHARED = Script("join_shared")
RENEW = Script("renew")
LEAVE = Script("leave")
