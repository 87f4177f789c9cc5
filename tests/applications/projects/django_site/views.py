"""Views as Django's documentation teaches them: sync and async ones side by side."""

import asyncio
import hashlib
import threading

import bells
from django.contrib.auth.models import User
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt


def sync_view(request):
    return JsonResponse({"name": request.GET.get("name"), "thread": threading.current_thread().name, "view": "sync"})


async def async_view(request):
    running = asyncio.get_running_loop() is not None
    return JsonResponse({"name": request.GET.get("name"), "loop": running, "view": "async"})


async def users(request):
    return JsonResponse({"users": [user.username async for user in User.objects.all()]})


@csrf_exempt
def upload(request):
    file, hasher = request.FILES["file"], hashlib.sha256()
    for part in file.chunks():
        hasher.update(part)
    return JsonResponse({"sha256": hasher.hexdigest(), "size": file.size, "note": request.POST["note"]})


@csrf_exempt
def upload_raw(request):
    hasher, size = hashlib.sha256(), 0
    while part := request.read(1 << 20):
        hasher.update(part)
        size += len(part)
    return JsonResponse({"sha256": hasher.hexdigest(), "size": size})


def sizes(request):
    total = int(request.GET["size"])
    return [min(100_000, total - start) for start in range(0, total, 100_000)]


def download(request):
    return StreamingHttpResponse((b"s" * size for size in sizes(request)), content_type="application/octet-stream")


async def download_async(request):
    async def parts():
        for size in sizes(request):
            yield b"a" * size

    return StreamingHttpResponse(parts(), content_type="application/octet-stream")


async def stream(request, bell):
    async def parts():
        yield "first"
        await bells.heard(bell)
        yield "second"

    return StreamingHttpResponse(parts(), content_type="text/plain")


async def endless(request, bell):
    async def parts():
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            bells.ring(bell)

    return StreamingHttpResponse(parts(), content_type="text/plain")


async def slow(request, bell):
    """Waits until its client leaves: Django then cancels it."""
    bells.ring(f"{bell}-started")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        bells.ring(bell, "cancelled")
        raise
    return HttpResponse("never")


@csrf_exempt
async def ring(request, bell):
    bells.ring(bell)
    return HttpResponse(status=204)


async def heard(request, bell):
    return HttpResponse(await bells.heard(bell))


def fail(request):
    raise LookupError("this view always fails")
