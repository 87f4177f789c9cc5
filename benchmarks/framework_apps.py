"""Applications of FastAPI and Starlette, as their documents have them."""

from __future__ import annotations

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

PAGE = b"0123456789abcde\n" * 640  # 10 KiB
ORDER = b'{"name":"barge","price":12.5,"tags":["boat","canal"]}'
RECEIPT = b'{"name":"barge","total":15.0,"tags":["boat","canal"]}'

fastapi = FastAPI()


class Order(BaseModel):
    name: str
    price: float
    tags: list[str] = []


class Receipt(BaseModel):
    name: str
    total: float
    tags: list[str]


@fastapi.post("/")
async def order(order: Order) -> Receipt:
    return Receipt(name=order.name, total=order.price * 1.2, tags=order.tags)


async def page(request: Request) -> Response:
    return PlainTextResponse(PAGE)


starlette = Starlette(routes=[Route("/", page)])
