"""Whether Django answers the requests of an application, as far as its imports tell."""

from __future__ import annotations

import sys

HANDLERS = ("django.core.handlers.asgi", "django.core.handlers.wsgi")


def django_answers() -> bool:
    """True if one of Django's handlers was imported. It is not where Django's models alone are wanted."""
    return any(handler in sys.modules for handler in HANDLERS)
