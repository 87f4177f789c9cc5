"""What an interface server reports once it accepts connections: to its `serve`, and to a service manager."""

from __future__ import annotations

from towpath.runtime import process_markers
from towpath.system.service_manager import ServiceManager


class ListeningReport:
    """The `ServiceManager` of an interface server (interface_server/server.py)."""

    def __init__(self, manager: ServiceManager) -> None:
        """manager: that of an interface server without `serve`, if it has one."""
        self._manager = manager

    def report_ready(self) -> None:
        """See `ServiceManager`. A lease is written before the server listens, so `serve` waits for a marker too."""
        process_markers.mark_listening()
        self._manager.report_ready()

    def report_stopping(self) -> None:
        """See `ServiceManager`."""
        self._manager.report_stopping()
