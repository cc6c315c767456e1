"""The server: what the Open Inference Protocol asks for, and a page to try it."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files

import anyio
import numpy as np
import torch
from anyio.to_thread import run_sync
from jaxtyping import UInt8
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from torch import Tensor

from tessella import __version__
from tessella.serving.access import Access
from tessella.serving.answers import Served, encode, metadata, requested
from tessella.serving.batching import Answer, Batcher, Overloaded
from tessella.serving.guard import Guard, Refused, Settings, error_response
from tessella.serving.metrics import Metrics
from tessella.serving.page import shown
from tessella.serving.pictures import as_rgb, open_picture, pictures_of
from tessella.serving.protocol import HEADER_LENGTH, read_request

VERSION = "1"

MOST_JSON = 8 << 20
"""Bytes of JSON in a request: its parser holds the interpreter, and all other requests, until it is done."""

FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Headers of a request that came through a proxy, and so from anywhere."""

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; style-src 'unsafe-inline'; img-src 'self' data: blob:",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def create_app(served: Served, access: Access, settings: Settings) -> Starlette:
    """An ASGI application; its lifespan ends when everything that was taken is answered."""
    return _Server(served, access, settings).app()


class _Server:
    def __init__(self, served: Served, access: Access, settings: Settings) -> None:
        self.served, self.settings = served, settings
        self.metrics = Metrics()
        self.guard = Guard(access, settings, self.metrics)

    def app(self) -> Starlette:
        model, guard = f"/v2/models/{self.served.name}", self.guard
        routes = [
            Route("/v2", self.server_metadata),
            Route("/v2/repository/index", guard(self.models), methods=["POST"]),
            Route("/v2/health/live", self.live),
            Route("/v2/health/ready", self.live),
            Route("/metrics", guard(self.show_metrics)),
            Route("/picture", guard(self.picture), methods=["POST"]),
            Route("/", partial(self.file, "page.html", "text/html")),
            Route("/page.js", partial(self.file, "page.js", "text/javascript")),
        ]
        for path in (model, f"{model}/versions/{VERSION}"):
            routes += [
                Route(path, guard(self.model_metadata)),
                Route(f"{path}/ready", self.live),
                Route(f"{path}/infer", guard(self.infer), methods=["POST"]),
            ]
        hosts = list(self.settings.hosts)
        return Starlette(
            routes=routes,
            lifespan=self._lifespan,
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)] if hosts else [],
            exception_handlers={HTTPException: _http_error, Exception: _our_fault},
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self.batcher = Batcher(self.settings.batch, self.settings.concurrency, self.metrics.batches.observe)
        try:
            yield
        finally:
            await run_sync(self.batcher.close)

    async def live(self, request: Request) -> Response:
        return Response()

    async def server_metadata(self, request: Request) -> Response:
        return JSONResponse(
            {"name": "tessella", "version": __version__, "extensions": ["binary_tensor_data"]}
        )

    async def models(self, request: Request, key: str) -> Response:
        return JSONResponse([{"name": self.served.name, "version": VERSION, "state": "READY"}])

    async def model_metadata(self, request: Request, key: str) -> Response:
        return JSONResponse({**metadata(self.served), "versions": [VERSION]})

    async def show_metrics(self, request: Request, key: str) -> Response:
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")

    async def file(self, name: str, kind: str, request: Request) -> Response:
        content = files("tessella.serving").joinpath(name).read_text()
        return Response(content, media_type=kind, headers=PAGE_HEADERS)

    async def infer(self, request: Request, key: str) -> Response:
        body = await self.guard.body(request, key)
        header = request.headers.get(HEADER_LENGTH)
        if header is not None and not (header.isdecimal() and len(header) < 16):
            raise Refused(400, f"{HEADER_LENGTH}: {header[:16]!r} is no number of bytes")
        length = None if header is None else int(header)
        if (len(body) if length is None else length) > MOST_JSON:
            raise Refused(413, f"more than {MOST_JSON} bytes of JSON: send tensors as bytes")
        asked = await run_sync(read_request, body, length)
        images = await run_sync(pictures_of, asked.inputs, self.served.channels, self.settings.limits)
        wanted = requested(asked, self.served, images[:, 0].numel())
        answer = await self._answer(key, self.served.answer, images)
        content, written = await run_sync(encode, self.served, VERSION, asked.id, wanted, answer)
        headers = {} if written is None else {HEADER_LENGTH: str(written)}
        kind = "application/json" if written is None else "application/octet-stream"
        return Response(content, media_type=kind, headers=headers)

    async def picture(self, request: Request, key: str) -> Response:
        """For the page: a PNG or JPEG to pictures of its segmentation, before defences too where that is allowed."""
        body = await self.guard.body(request, key)
        if self.served.channels != 3:
            raise Refused(400, f"the model takes {self.served.channels} channels, which no picture file has")
        limits = self.settings.limits
        image = await run_sync(lambda: as_rgb(open_picture(body, limits)))
        images = await run_sync(_as_batch, image)
        after = await self._answer(key, self.served.answer, images)
        before = None
        if self.served.undefended is not None and not any(name in request.headers for name in FORWARDED):
            before = await self._answer(key, self.served.undefended, images, cost=0)
        return JSONResponse(await run_sync(shown, self.served, image, after, before))

    async def _answer(
        self, key: str, answer: Answer, images: UInt8[Tensor, "b c h w"], cost: int | None = None
    ) -> Tensor:
        start = time.perf_counter()
        cost, status, returned = len(images) if cost is None else cost, 500, 0
        await self.guard.spend(key, cost)
        try:
            future = self.batcher.ask(answer, images)
            try:
                with anyio.fail_after(self.settings.timeout):
                    result = await asyncio.wrap_future(future)
            except BaseException:
                # What the model has begun is paid for: who gives up early shall not compute for nothing.
                returned = cost if future.cancel() or future.done() else 0
                raise
            status = 200
            self.metrics.pictures.inc(len(images))
            return result
        except Overloaded as error:
            status, returned = 503, cost
            raise Refused(503, str(error)) from error
        except TimeoutError as error:
            # What the model has begun is paid for, and clients try again what a 503 refuses.
            status = 503 if returned else 504
            raise Refused(status, "the answer took too long") from error
        finally:
            digest = hashlib.blake2b(images.numpy().tobytes(), digest_size=16).hexdigest()
            await self.guard.settle(key, returned, cost, digest, status, time.perf_counter() - start)


def _as_batch(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].contiguous()


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return error_response(error.status_code, error.detail)


async def _our_fault(request: Request, error: Exception) -> Response:
    return error_response(500, "the model failed; the server's log says why")
