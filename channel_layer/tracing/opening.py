"""Opens the tracing of a process. The rest of this folder is imported here, since it needs libraries that may be missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from channel_layer.tracing.tracing import Tracing


class CannotTrace(ValueError):
    """No spans can be sent; the text is one sentence for the operator."""


def open_tracing() -> Tracing:
    """Send spans from now on to where the OTEL_… variables say. Raises CannotTrace."""
    try:
        from channel_layer.tracing.tracing import Tracing
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise CannotTrace("--traces needs OpenTelemetry: pip install 'towpath[otel]'") from error
    return Tracing()
