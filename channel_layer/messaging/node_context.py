"""What all parts of one node share: name, role, the keys, address and settings of its Redis, and its encryption."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from channel_layer.encryption.encryption import Encryption
from channel_layer.protocol.keys import Keys
from channel_layer.redis.address_file import AddressSource, address_source
from channel_layer.redis.outage import Outage
from channel_layer.settings import RedisSettings

#: All keys but leases outlive their owner by twice the longest wait, and by a minute at least.
ORPHAN_WAITS: Final = 2
ORPHAN_WAIT_S_MIN: Final = 30.0


@dataclass(frozen=True, slots=True)
class NodeContext:
    """One run of one process on one Redis. Made by `of`, once per node."""

    name: str
    role: str
    keys: Keys
    address: AddressSource
    settings: RedisSettings
    encryption: Encryption = field(kw_only=True, compare=False)
    outage: Outage = field(default_factory=Outage, kw_only=True, compare=False)  #: of its connections to Redis

    @classmethod
    def of(cls, name: str, role: str, settings: RedisSettings) -> NodeContext:
        """The context of the node `name`. Raises ValueError for a URL that is none, a file without one, and keys that cannot be used."""
        address, encryption = address_source(settings.url), Encryption.of(settings)
        return cls(name, role, Keys(settings.prefix, address.current().db), address, settings, encryption=encryption)

    @property
    def orphan_ttl_ms(self) -> int:
        """How long the keys of a process outlive it, leases excepted."""
        return int(ORPHAN_WAITS * 1000 * max(self.settings.queue_wait_s, ORPHAN_WAIT_S_MIN))
