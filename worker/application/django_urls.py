"""What Django imports only at its first request: the module of its URLs, and with that the views.

They belong to the application as it was deployed. Imported with it, a view that cannot be imported is told before any worker is
replaced (P7), and the first request finds everything there.
"""

from __future__ import annotations

import sys

from worker.application.django_handlers import django_answers


def module_of_urls() -> str | None:
    """Its name, if the application that was just imported answers requests with Django; None where it does not, or has no URLs."""
    if not django_answers():
        return None
    settings = sys.modules["django.conf"].settings
    name = getattr(settings, "ROOT_URLCONF", None) if settings.configured else None
    return name if isinstance(name, str) else None
