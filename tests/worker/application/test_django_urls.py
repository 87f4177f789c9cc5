"""The module of Django's URLs: found before the first request, where Django answers requests at all."""

from __future__ import annotations

import subprocess
import sys

BEGINNING = "from worker.application.django_urls import module_of_urls as m; print(m())\n"
SETTINGS = "from django.conf import settings; settings.configure(ROOT_URLCONF={!r}); print(m())\n"
HANDLER = "import django.core.handlers.asgi; print(m())\n"


def found(program: str) -> list[str]:
    """The module after each line of `program`, in a fresh interpreter: what is imported is the question."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_urls_are_named_when_django_answers_and_its_settings_name_them() -> None:
    assert found(BEGINNING + SETTINGS.format("site.urls") + HANDLER) == ["None", "None", "site.urls"]


def test_without_settings_or_without_a_module_there_are_none() -> None:
    """A list of patterns needs no import."""
    assert found(BEGINNING + HANDLER + SETTINGS.format([])) == ["None", "None", "None"]
