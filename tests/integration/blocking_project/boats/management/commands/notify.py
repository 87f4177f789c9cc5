"""`python -m django notify CHANNEL TEXT`."""

from django.core.management.base import BaseCommand, CommandParser
from notifying import notify


class Command(BaseCommand):
    """Notifies a client."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("channel")
        parser.add_argument("text")

    def handle(self, channel: str, text: str, **_: object) -> None:
        notify(channel, text)
