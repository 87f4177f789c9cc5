"""Make the site's database with one user who may enter the admin. Run once, before a server starts."""

import os

import django
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()
call_command("migrate", verbosity=0)

from django.contrib.auth.models import User  # noqa: E402 - models exist only after setup()

User.objects.create_superuser("skipper", "skipper@example.com", "aye-aye")
