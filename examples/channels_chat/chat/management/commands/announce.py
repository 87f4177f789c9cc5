"""`python manage.py announce ROOM TEXT`: a line to a room, from outside of any server."""

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Send a line to everyone in a room."

    def add_arguments(self, parser):
        parser.add_argument("room")
        parser.add_argument("text")

    def handle(self, *args, room, text, **options):
        async_to_sync(get_channel_layer().group_send)(f"chat.{room}", {"type": "chat.line", "text": text})
