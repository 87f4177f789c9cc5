"""Opens the admin port of a process. The rest of this folder is imported here, since it needs a library that may be missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from channel_layer.admin.listener import CannotListen

if TYPE_CHECKING:
    from channel_layer.admin.admin import Admin
    from channel_layer.settings import RedisSettings


def open_admin(settings: RedisSettings) -> Admin:
    """Listen on the admin port of these settings. Raises CannotListen."""
    try:
        from channel_layer.admin.admin import Admin
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        raise CannotListen("--admin-port needs prometheus_client: pip install '/path/to/towpath[metrics]'") from error
    return Admin(settings.admin_host, settings.admin_port)
