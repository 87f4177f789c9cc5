"""Finds out from the imported modules whether Django answers the requests of an application."""

from __future__ import annotations

import sys

HANDLERS = ("django.core.handlers.asgi", "django.core.handlers.wsgi")


def django_answers() -> bool:
    """True if one of Django's handlers was imported. An application that only uses Django's models imports none."""
    return any(handler in sys.modules for handler in HANDLERS)
