"""Reads the leases from Redis: which processes are alive, and what they show of themselves. PROTOCOL.md, "Keys"."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from channel_layer.encryption.agreement import KEY_IDS, disagreement
from channel_layer.encryption.encryption import Encryption
from channel_layer.errors import LayerUnavailable
from channel_layer.process.local_process import identity
from channel_layer.protocol.keys import Keys
from channel_layer.redis.blocking.client import BlockingClient
from channel_layer.redis.blocking.connection import pack
from channel_layer.settings import RedisSettings
from towpath.errors import StartFailure
from towpath.status import redis_check

ANSWER_TIMEOUT_S = 2.0
NO_KEYS = RedisSettings()
SCALARS = (str, int, float, bool, type(None))


class LeaseReader:
    """One connection for many reads."""

    def __init__(self, url: str, prefix: str, settings: RedisSettings = NO_KEYS) -> None:
        """settings: those with the encryption keys.

        Raises StartFailure for a URL that is none, or a file without one, and for keys that cannot be used.
        """
        try:
            self._encryption = Encryption.of(settings)
        except ValueError as error:
            raise StartFailure(str(error)) from error
        self._client = BlockingClient(redis_check.source_of(url), ANSWER_TIMEOUT_S)
        self._keys = Keys(prefix)

    def read(self) -> list[dict[str, Any]]:
        """The lease of each process: its figures and text, and as `node` its name. StartFailure when Redis does not answer.

        A lease that cannot be read is shown by its name alone.
        """
        try:
            return self._read()
        except LayerUnavailable as error:
            raise StartFailure(str(error)) from error

    def ready_pids(self) -> frozenset[int]:
        """The process numbers on this machine that hold a lease; none while Redis does not answer.

        Other machines may share the Redis and the prefix, and their processes have the same numbers.
        """
        here = identity()["machine"]
        try:
            pids = [lease.get("pid") for lease in self._read() if lease.get("machine") == here]
        except LayerUnavailable:
            return frozenset()
        return frozenset(pid for pid in pids if type(pid) is int)

    def write_refusal(self) -> str:
        """The error with which Redis refuses writes at present, in its own words; empty if it takes them. LayerUnavailable as usual.

        It is that of a write which changes nothing, since its key does not exist. A user that may only read learns nothing.
        """
        key = self._keys.lease(f"check.{os.urandom(6).hex()}")
        (answer,) = self._client.exchange(pack("SET", key, "", "PX", 1, "XX"), 1)
        refused = isinstance(answer, Exception) and not str(answer).startswith("NOPERM")
        return str(answer) if refused else ""

    def unreadable(self, leases: Sequence[dict[str, Any]]) -> str:
        """Why not every one of these leases can be read; empty if all can."""
        ids = {lease["node"]: {KEY_IDS: str(lease.get(KEY_IDS, "")).split()} for lease in leases}
        return disagreement(self._encryption.key_ids, ids, self._keys.prefix)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _read(self) -> list[dict[str, Any]]:
        self._encryption.refresh()
        names = [name.decode(errors="replace") for name in self._client.call("ZRANGE", self._keys.nodes, 0, -1)]
        if not names:
            return []
        packed = self._client.call("MGET", *map(self._keys.lease, names))
        return [self._lease(name, lease) for name, lease in zip(names, packed, strict=True) if lease is not None]

    def _lease(self, name: str, packed: bytes) -> dict[str, Any]:
        fields = self._encryption.lease_facts(self._keys.lease(name), packed) or {}
        ids = fields.get(KEY_IDS)
        if isinstance(ids, list) and all(isinstance(each, str) for each in ids):
            fields[KEY_IDS] = " ".join(ids)
        return {**{field: value for field, value in fields.items() if _is_plain(value)}, "node": name}


def _is_plain(value: Any) -> bool:
    """True for figures and text, and for a map of them. Other values could be nested too deeply to be shown."""
    inner = value.values() if isinstance(value, dict) else (value,)
    return all(isinstance(each, SCALARS) for each in inner)
