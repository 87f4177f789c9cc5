"""`manage.py note CALL TO TEXT`: what cron does."""

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    def add_arguments(self, parser):
        for name in ("call", "to", "text"):
            parser.add_argument(name)

    def handle(self, *args, call, to, text, **options):
        async_to_sync(getattr(get_channel_layer(), call))(to, {"type": "desk.note", "text": text})
