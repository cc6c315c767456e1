"""The server's socket, and the loop that answers there."""

import os
import socket
from typing import Any

import h11
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from tessella.errors import InputError

PATIENCE = 10.0
"""Seconds for the head of a request, at least; at most twice that."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def listen(host: str, port: int) -> socket.socket:
    """A socket at which connections wait. Raises InputError where another has it, or the address is none of ours."""
    if not 0 <= port < 1 << 16:
        raise InputError(f"--port {port}: give 0 to {(1 << 16) - 1}")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        number = error.errno or 0  # below 0: of the name's resolution
        reason = os.strerror(number) if number > 0 else error
        raise InputError(f"--host {host} --port {port}: {reason}; choose another") from error
    # Each connection inherits it; asyncio sets it for sockets of its own alone. Without, an answer waits for 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def root_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class _Impatient(H11Protocol):
    """Hangs up on connections that say nothing, or never come to the end of a request's head."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._look(None)

    def _look(self, seen: Any) -> None:
        if self.transport.is_closing():
            return
        if self.conn.their_state is h11.IDLE and seen == (self.cycle,):
            self.transport.close()
            return
        self.loop.call_later(PATIENCE, self._look, (self.cycle,))


def server_of(app: Starlette, timeout: float) -> uvicorn.Server:
    """timeout: seconds that the application takes to read a request, and to answer it."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=_Impatient,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=int(2 * timeout) + 1,
        )
    )
