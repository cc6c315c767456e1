"""The server: what the Open Inference Protocol asks for, limits, keys, a log, metrics, and a page to try it."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from typing import Any

import anyio
import numpy as np
import torch
from anyio.to_thread import run_sync
from jaxtyping import UInt8
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from torch import Tensor

from tessella import __version__
from tessella.serving.access import Access, Spent
from tessella.serving.answers import Served, encode, metadata, requested
from tessella.serving.batching import Answer, Batcher, Overloaded
from tessella.serving.metrics import Metrics
from tessella.serving.page import shown
from tessella.serving.pictures import Limits, as_rgb, open_picture, pictures_of
from tessella.serving.protocol import HEADER_LENGTH, Malformed, read_request

VERSION = "1"


@dataclass(frozen=True)
class Settings:
    """How the server protects itself.

    keys: whether a key is needed. batch: pictures that the model is asked about at a time. concurrency: requests that
    are read, waited for and written at a time; those beyond are told to come again. timeout: seconds for the body to
    arrive, and for the answer. hosts: names by which it may be called; all where empty.
    """

    keys: bool = False
    limits: Limits = field(default_factory=Limits)
    batch: int = 8
    concurrency: int = 64
    timeout: float = 60.0
    hosts: tuple[str, ...] = ()


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def create_app(served: Served, access: Access, settings: Settings) -> Starlette:
    """An ASGI application; its lifespan ends when everything that was taken is answered."""
    return _Server(served, access, settings).app()


class _Server:
    def __init__(self, served: Served, access: Access, settings: Settings) -> None:
        self.served, self.access, self.settings = served, access, settings
        self.metrics = Metrics()
        self.in_flight = 0

    def app(self) -> Starlette:
        model = f"/v2/models/{self.served.name}"
        routes = [
            Route("/v2", self.server_metadata),
            Route("/v2/repository/index", self._guarded(self.models), methods=["POST"]),
            Route("/v2/health/live", self.live),
            Route("/v2/health/ready", self.live),
            Route("/metrics", self._guarded(self.show_metrics)),
            Route("/picture", self._guarded(self.picture), methods=["POST"]),
            Route("/", partial(self.file, "page.html", "text/html")),
            Route("/page.js", partial(self.file, "page.js", "text/javascript")),
        ]
        for path in (model, f"{model}/versions/{VERSION}"):
            routes += [
                Route(path, self._guarded(self.model_metadata)),
                Route(f"{path}/ready", self.live),
                Route(f"{path}/infer", self._guarded(self.infer), methods=["POST"]),
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
        body = await self._body(request)
        length = request.headers.get(HEADER_LENGTH)
        if length is not None and not (length.isdecimal() and len(length) < 16):
            raise Refused(400, f"{HEADER_LENGTH}: {length[:16]!r} is no number of bytes")
        asked = await run_sync(read_request, body, None if length is None else int(length), len(body))
        wanted = requested(asked, self.served)
        images = await run_sync(pictures_of, asked.inputs, self.served.channels, self.settings.limits)
        answer = await self._answer(key, self.served.answer, images)
        content, header = await run_sync(encode, self.served, VERSION, asked.id, wanted, answer)
        headers = {} if header is None else {HEADER_LENGTH: str(header)}
        kind = "application/json" if header is None else "application/octet-stream"
        return Response(content, media_type=kind, headers=headers)

    async def picture(self, request: Request, key: str) -> Response:
        """For the page: a PNG or JPEG to pictures of its segmentation, before defences too where that is allowed."""
        body = await self._body(request)
        if self.served.channels != 3:
            raise Refused(400, f"the model takes {self.served.channels} channels, which no picture file has")
        limits = self.settings.limits
        image = await run_sync(lambda: as_rgb(open_picture(body, limits)))
        images = await run_sync(_as_batch, image)
        after = await self._answer(key, self.served.answer, images)
        before = None
        if self.served.undefended is not None:
            before = await self._answer(key, self.served.undefended, images)
        return JSONResponse(await run_sync(shown, self.served, image, after, before))

    async def _answer(self, key: str, answer: Answer, images: UInt8[Tensor, "b c h w"]) -> Tensor:
        start = time.perf_counter()
        number, status = len(images), 200
        self._spend(key, number)
        try:
            future = self.batcher.ask(answer, images)
            with anyio.fail_after(self.settings.timeout):
                result = await asyncio.wrap_future(future)
            self.metrics.pictures.inc(number)
            return result
        except (Overloaded, TimeoutError) as error:
            status = 503
            raise Refused(503, str(error) or "the answer took too long") from error
        except Exception:
            status = 500
            raise
        finally:
            if status != 200 and self.settings.keys:
                self.access.give_back(key, number)
            digest = hashlib.blake2b(images.numpy().tobytes(), digest_size=16).hexdigest()
            self.access.log(key, number, digest, status, time.perf_counter() - start)

    def _spend(self, key: str, pictures: int) -> None:
        if not self.settings.keys:
            return
        try:
            self.access.spend(key, pictures)
        except Spent as error:
            raise Refused(403, f"the budget of {key} does not hold {pictures} more pictures") from error

    async def _body(self, request: Request) -> bytes:
        if request.headers.get("content-encoding", "identity") != "identity":
            raise Refused(415, "send the body uncompressed")
        most, parts, size = self.settings.limits.body, [], 0
        length = request.headers.get("content-length", "0")
        if int(length) > most:  # uvicorn lets nothing but whole numbers through
            raise Refused(413, f"the body has {length} bytes; {most} are allowed")
        try:
            with anyio.fail_after(self.settings.timeout):
                async for part in request.stream():
                    parts.append(part)
                    size += len(part)
                    if size > most:
                        raise Refused(413, f"the body has more than {most} bytes")
        except TimeoutError as error:
            raise Refused(408, f"the body did not arrive within {self.settings.timeout:g} seconds") from error
        except ClientDisconnect as error:
            raise Refused(400, "the connection ended within the body") from error
        return b"".join(parts)

    def _who(self, request: Request) -> str:
        if not self.settings.keys:
            return ""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        key = key.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
        name = self.access.who(key)
        if name is None:
            raise Refused(401, "give a key: Authorization: Bearer KEY")
        return name

    def _guarded(self, respond: Callable[[Request, str], Awaitable[Response]]) -> Any:
        """Ask for the key, and answer what goes wrong with one clear line."""

        async def endpoint(request: Request) -> Response:
            start = time.perf_counter()
            try:
                key = self._who(request)
                if self.in_flight >= self.settings.concurrency:
                    raise Refused(503, f"{self.in_flight} requests are being answered; come again")
                self.in_flight += 1
                try:
                    response = await respond(request, key)
                finally:
                    self.in_flight -= 1
            except Malformed as error:
                response = _error(400, str(error))
            except Refused as error:
                response = _error(error.status, str(error))
            self.metrics.requests.labels(request.url.path, response.status_code).inc()
            self.metrics.seconds.observe(time.perf_counter() - start)
            return response

        return endpoint


PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; style-src 'unsafe-inline'; img-src 'self' data: blob:",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def _as_batch(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].contiguous()


def _error(status: int, message: str) -> Response:
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}.get(status, {})
    return JSONResponse({"error": message}, status, headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, error.detail)


async def _our_fault(request: Request, error: Exception) -> Response:
    return _error(500, "the model failed; the server's log says why")
