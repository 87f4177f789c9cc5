"""A check, before anything is started, for another application under the same prefix of the same Redis database."""

from __future__ import annotations

from channel_layer.protocol.deployment import another_application, why_refused
from channel_layer.settings import RedisSettings
from towpath.errors import StartFailure
from towpath.status.lease_reader import LeaseReader


def check(redis: str, prefix: str, app: str, settings: RedisSettings) -> None:
    """Raise StartFailure if there is one. A worker checks again when it has written its lease: others may start at the same moment.

    settings: those with the encryption keys, without which the application in a lease cannot be read.
    """
    reader = LeaseReader(redis, prefix, settings)
    try:
        other = another_application(app, reader.read())
    finally:
        reader.close()
    if other is not None:
        raise StartFailure(why_refused(other, prefix))
