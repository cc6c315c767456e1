"""What stands before every request: keys, budgets, room for so many at a time, and errors of one clear line."""

import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from sqlite3 import OperationalError
from typing import Any

import anyio
from anyio.to_thread import run_sync
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from tessella.serving.access import Access, Spent
from tessella.serving.metrics import Metrics
from tessella.serving.pictures import Limits
from tessella.serving.protocol import Malformed

SHARE_OF_KEY = 0.75
"""Of the room, which one key may fill."""

LONGEST_ERROR = 300

PIECE = 1 << 16
"""Bytes of an answer that are sent at a time: between two of them it shows whether anyone reads."""


@dataclass(frozen=True)
class Settings:
    """How the server protects itself.

    keys: whether a key is needed. batch: pictures that the model is asked about at a time. concurrency: requests that
    are read, waited for and written at a time; those beyond are told to come again. timeout: seconds for the body to
    arrive, for the answer, and for it to be taken. hosts: names by which it may be called; all where empty.
    """

    keys: bool = False
    limits: Limits = field(default_factory=Limits)
    batch: int = 2
    concurrency: int = 64
    timeout: float = 60.0
    hosts: tuple[str, ...] = ()


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Guard:
    """Of one server."""

    def __init__(self, access: Access, settings: Settings, metrics: Metrics) -> None:
        self.access, self.settings, self.metrics = access, settings, metrics
        self.in_flight: Counter[str] = Counter()

    def __call__(self, respond: Callable[[Request, str], Awaitable[Response]]) -> Any:
        """An endpoint; ``respond`` gets the request and the name of its key."""

        async def endpoint(request: Request) -> Any:
            start = time.perf_counter()
            status, key, held = 500, "", False
            try:
                _require_own_page(request)
                key = await self._who(request)
                self._take_room(key)
                held = True
                response = await respond(request, key)
                status = response.status_code
            except Malformed as error:
                status, response = 400, error_response(400, str(error))
            except Refused as error:
                status, response = error.status, error_response(error.status, str(error))
            except OperationalError as error:  # another holds the file of keys
                status, response = 503, error_response(503, f"{error}; come again")
            finally:
                if held and status == 500:
                    self._leave_room(key)
                self.metrics.requests.labels(request.url.path, status).inc()
                self.metrics.seconds.observe(time.perf_counter() - start)
            return _Sent(response, self.settings.timeout, self._leave_room if held else None, key)

        return endpoint

    async def body(self, request: Request, key: str) -> bytes:
        """Raises Refused where it is too large or slow, or the key has nothing left to ask for."""
        if self.settings.keys and not await run_sync(self.access.left, key):
            raise Refused(403, f"the budget of {key} is spent")
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

    async def spend(self, key: str, pictures: int) -> None:
        """Raises Refused where the budget does not hold them."""
        if not self.settings.keys:
            return
        try:
            await run_sync(self.access.spend, key, pictures)
        except Spent as error:
            raise Refused(403, f"the budget of {key} does not hold {pictures} more pictures") from error

    async def settle(self, key: str, returned: int, *row: Any) -> None:
        """Give back pictures that were not asked about, and write the log; also where the request was cancelled."""
        with anyio.CancelScope(shield=True):
            if returned and self.settings.keys:
                await run_sync(self.access.give_back, key, returned)
            await run_sync(self.access.log, key, *row)

    async def _who(self, request: Request) -> str:
        if not self.settings.keys:
            return ""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        key = key.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
        name = await run_sync(self.access.who, key)
        if name is None:
            raise Refused(401, "give a key: Authorization: Bearer KEY")
        return name

    def _take_room(self, key: str) -> None:
        all_, room = self.in_flight.total(), self.settings.concurrency
        if all_ >= room or (self.settings.keys and self.in_flight[key] >= math.ceil(SHARE_OF_KEY * room)):
            raise Refused(503, f"{all_} requests are being answered; come again")
        self.in_flight[key] += 1
        self.metrics.in_flight.inc()

    def _leave_room(self, key: str) -> None:
        self.in_flight[key] -= 1
        self.metrics.in_flight.dec()


class _Sent:
    """A response that is sent piece by piece, within a time, and then makes room."""

    def __init__(
        self, response: Response, timeout: float, leave: Callable[[str], None] | None, key: str
    ) -> None:
        self.response, self.timeout, self.leave, self.key = response, timeout, leave, key

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = bytes(self.response.body)
        start = {"type": "http.response.start", "status": self.response.status_code}
        try:
            with anyio.move_on_after(self.timeout):  # who does not read is hung up on
                await send({**start, "headers": self.response.raw_headers})
                for place in range(0, max(len(body), 1), PIECE):
                    piece = {"body": body[place : place + PIECE], "more_body": place + PIECE < len(body)}
                    await send({"type": "http.response.body", **piece})
        finally:
            if self.leave is not None:
                self.leave(self.key)


def error_response(status: int, message: str) -> Response:
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}.get(status, {})
    if status in (401, 403, 408, 413, 415, 503, 504):  # whose body may not have been read: nobody reads on
        headers = {**headers, "Connection": "close"}
    return JSONResponse({"error": message[:LONGEST_ERROR]}, status, headers)


def _require_own_page(request: Request) -> None:
    if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise Refused(403, "pages of other sites may not ask")
