"""Views, synchronous and asynchronous, with every kind of end a request can have."""

import logging
import os

from django.core.exceptions import PermissionDenied
from django.http import Http404, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.http import require_GET

logger = logging.getLogger("shop")


@require_GET
def order(request, number):
    logger.info("order %s in a view", number, extra={"number": number})
    return JsonResponse({"number": number, "pid": os.getpid()})


async def async_order(request, number):
    logger.info("order %s in the loop", number, extra={"number": number})
    return JsonResponse({"number": number, "pid": os.getpid()})


def boom(request):
    raise ValueError("oh no")


async def async_boom(request):
    raise ValueError("oh no")


def gone(request):
    raise Http404("no such order")


def refused(request):
    raise PermissionDenied


def parts():
    for part in ("one", "two"):
        logger.info("part %s", part)
        yield part


async def async_parts():
    for part in parts():
        yield part


def stream(request):
    return StreamingHttpResponse(parts())


async def async_stream(request):
    return StreamingHttpResponse(async_parts())


urlpatterns = [
    path("orders/<int:number>/", order),
    path("async/<int:number>/", async_order),
    path("boom/", boom),
    path("async-boom/", async_boom),
    path("gone/", gone),
    path("refused/", refused),
    path("stream/", stream),
    path("async-stream/", async_stream),
]
