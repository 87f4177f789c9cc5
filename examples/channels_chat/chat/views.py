"""The two pages, and a form that speaks to a room without a WebSocket."""

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt


def index(request):
    return render(request, "chat/index.html")


def room(request, room):
    return render(request, "chat/room.html", {"room": room})


@csrf_exempt  # this example has no sessions
def announce(request, room):
    """Send a line to everyone in the room, from an ordinary sync view."""
    async_to_sync(get_channel_layer().group_send)(f"chat.{room}", {"type": "chat.line", "text": request.POST["text"]})
    return HttpResponse(status=204)
