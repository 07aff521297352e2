"""The same small shop in FastAPI and in Starlette; ``SHOP_LIFESPAN=fails`` breaks its start."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import fastapi
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

logger = logging.getLogger("shop")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    logger.info("the shop opens")
    if os.environ.get("SHOP_LIFESPAN") == "fails":
        raise ConnectionError("no database")
    yield
    logger.info("the shop closes")


class OutOfStockError(Exception):
    pass


async def out_of_stock(request: Request, error: Exception) -> JSONResponse:
    logger.info("handled")
    return JSONResponse({"error": "out of stock"}, 409)


def send_receipt(number: int) -> None:
    logger.info("receipt %s sent", number)
    if number == 13:
        raise RuntimeError("no printer")


async def parts() -> AsyncIterator[str]:
    for part in ("one", "two"):
        logger.info("part %s", part)
        yield part


def sync_order(request: Request) -> JSONResponse:
    number = int(request.path_params["number"])
    logger.info("order %s in a thread", number, extra={"number": number})
    return JSONResponse({"number": number, "pid": os.getpid()})


async def async_order(request: Request) -> JSONResponse:
    number = int(request.path_params["number"])
    logger.info("order %s in the loop", number, extra={"number": number})
    return JSONResponse({"number": number, "pid": os.getpid()})


ALWAYS_THE_SAME = TimeoutError("no answer")


async def same(request: Request) -> JSONResponse:
    raise ALWAYS_THE_SAME


async def boom(request: Request) -> JSONResponse:
    raise ValueError("oh no")


async def refused(request: Request) -> JSONResponse:
    raise HTTPException(403)


async def sold_out(request: Request) -> JSONResponse:
    raise OutOfStockError


async def receipt(request: Request) -> JSONResponse:
    number = int(request.path_params["number"])
    return JSONResponse({}, background=BackgroundTask(send_receipt, number))


async def stream(request: Request) -> StreamingResponse:
    return StreamingResponse(parts())


async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    heard = await websocket.receive_text()
    logger.info("heard %s", heard)
    if heard == "boom":
        raise ValueError("oh no, chat")
    await websocket.send_text(heard.upper())
    await websocket.close()


async def stock(request: Request) -> PlainTextResponse:
    logger.info("counting")
    return PlainTextResponse("7")


async def broken_stock(request: Request) -> PlainTextResponse:
    raise LookupError("no shelf")


handlers = {OutOfStockError: out_of_stock}
depot = Starlette(routes=[Route("/stock", stock), Route("/broken", broken_stock)])
starlette_app = Starlette(
    lifespan=lifespan,
    exception_handlers=handlers,
    routes=[
        Route("/sync/{number}", sync_order),
        Route("/async/{number}", async_order),
        Route("/boom", boom),
        Route("/same", same),
        Route("/refused", refused),
        Route("/sold-out", sold_out),
        Route("/receipt/{number}", receipt),
        Route("/stream", stream),
        WebSocketRoute("/chat", chat),
        Mount("/depot", depot),
    ],
)

fastapi_app = fastapi.FastAPI(title="Shop", lifespan=lifespan, exception_handlers=handlers)
for path, endpoint in (
    ("/boom", boom),
    ("/refused", refused),
    ("/sold-out", sold_out),
    ("/receipt/{number}", receipt),
    ("/stream", stream),
):
    fastapi_app.add_api_route(path, endpoint)
fastapi_app.add_api_route("/sync/{number}", sync_order)
fastapi_app.add_api_route("/async/{number}", async_order)
fastapi_app.add_api_websocket_route("/chat", chat)
fastapi_app.mount("/depot", depot)
