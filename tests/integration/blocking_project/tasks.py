"""A Celery task that notifies a client."""

import os

from celery import Celery
from notifying import notify

app = Celery("tasks", broker=os.environ["BROKER"])


@app.task
def notify_client(channel: str, text: str) -> None:
    """Notify a client."""
    notify(channel, text)
