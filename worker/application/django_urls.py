"""Finds the module of Django's URLs, which Django imports only at the first request, and the views with it.

Towpath imports it together with the application: then a view that cannot be imported is reported before any worker is replaced (P7),
and the first request finds everything loaded.
"""

from __future__ import annotations

import sys

from worker.application.django_handlers import django_answers


def module_of_urls() -> str | None:
    """The module's name. None if the application does not answer requests with Django, or has no URLs."""
    if not django_answers():
        return None
    settings = sys.modules["django.conf"].settings
    name = getattr(settings, "ROOT_URLCONF", None) if settings.configured else None
    return name if isinstance(name, str) else None
