"""Pages that send by the channel layer, sync and async, each with the milliseconds that it took."""

import time

import consumers
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.http import JsonResponse
from django.urls import path


def send(request, call):
    """/send/?to=…&text=…, /group_send/?to=…&text=…"""
    started = time.perf_counter()
    note = {"type": "desk.note", **request.GET.dict()}
    async_to_sync(getattr(get_channel_layer(), call))(request.GET["to"], note)
    return JsonResponse({"took_ms": (time.perf_counter() - started) * 1000})


async def asend(request, call):
    """The same from an async view."""
    await getattr(get_channel_layer(), call)(request.GET["to"], {"type": "desk.note", **request.GET.dict()})
    return JsonResponse({})


async def running_consumers(request):
    """How many consumers of this process have not ended."""
    return JsonResponse({"running": len(consumers.running)})


urlpatterns = [
    path("consumers/", running_consumers),
    path("sync/<str:call>/", send),
    path("async/<str:call>/", asend),
]
