"""Whether a worker may serve beside those that are there: only if they serve the same application."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from channel_layer.protocol.deployment import another_application, why_refused
from worker.errors import MixedApps
from worker.settings import WorkerSettings


def check_others(settings: WorkerSettings, leases: Iterable[Mapping[str, Any]]) -> None:
    """Raises MixedApps. leases: what all living processes say of themselves.

    APP counts as it was written: one without an attribute may mean another one of the default ones after a reload.
    """
    redis_settings = settings.redis
    other = None if redis_settings.allow_mixed_apps else another_application(settings.app, leases)
    if other is not None:
        raise MixedApps(why_refused(other, redis_settings.prefix))
