"""Whether Django answers requests, as the imports of a fresh interpreter tell."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
from worker.application.django_handlers import django_answers
print(django_answers())
import django.conf, django.urls
print(django_answers())
from django.core.{kind} import get_{kind}_application
print(django_answers())
"""


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_django_answers_once_a_handler_of_it_is_imported(kind: str) -> None:
    """Not while a project uses nothing but its settings, models and URLs, behind another framework."""
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(kind=kind)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True"]
