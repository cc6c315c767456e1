"""The server's socket, and the loop that answers there."""

import os
import socket

import uvicorn
from starlette.applications import Starlette

from tessella.errors import InputError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def listen(host: str, port: int) -> socket.socket:
    """A socket at which connections wait. Raises InputError where another has it, or the address is none of ours."""
    if not 0 <= port < 1 << 16:
        raise InputError(f"--port {port}: give 0 to {(1 << 16) - 1}")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        number = error.errno or 0  # below 0: of the name's resolution
        reason = os.strerror(number) if number > 0 else error
        raise InputError(f"--host {host} --port {port}: {reason}; choose another") from error


def root_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def answer(app: Starlette, listening: socket.socket, timeout: float) -> None:
    """Until Ctrl-C or SIGTERM; what was taken by then is answered, for at most ``timeout`` seconds."""
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=int(timeout) + 1
    )
    uvicorn.Server(config).run(sockets=[listening])
