"""Whether a worker may serve beside those that are there: only if they serve the same application."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from channel_layer.deployment import another_application, why_refused
from channel_layer.settings import WireSettings
from worker.errors import MixedApps


def check_others(settings: WireSettings, leases: Iterable[Mapping[str, Any]]) -> None:
    """Raises MixedApps. leases: what all living processes say of themselves."""
    other = None if settings.allow_mixed_apps else another_application(settings.app, leases)
    if other is not None:
        raise MixedApps(why_refused(other, settings.prefix))
