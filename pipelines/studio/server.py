"""The server of the studio: one page and its pictures, on this machine alone unless told otherwise."""

import socket
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import Any

import uvicorn
from fastapi import FastAPI, Response
from starlette.middleware.trustedhost import TrustedHostMiddleware

from ...degrade.errors import UserError
from ...degrade.progress import say
from ...degrade.storage.location import Place
from .served import PICTURES, SERVED
from .work import cancel_all

_GONE_AFTER_S = 5.0  # a page that lost its connection; then its work is cancelled
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_KINDS = {".png": "image/png", ".gif": "image/gif", ".mp4": "video/mp4", ".html": "text/html; charset=utf-8"}


@dataclass(frozen=True)
class Studio:
    """What the studio begins with. models: by name. out: the folder of all that is made in it."""

    out: Path
    models: dict[str, Path] = field(default_factory=dict[str, Path])
    images: tuple[Path, ...] = ()
    stores: tuple[Place, ...] = ()
    banks: tuple[Place, ...] = ()
    runs: tuple[Path, ...] = ()
    at_home: bool = True
    """Whether it is reached from this machine alone, so that its page may name any file."""
    kept: dict[str, Any] = field(default_factory=dict[str, Any])
    """What tabs keep for all visitors, by their names: models that are open, scans."""

    @property
    def scratch(self) -> Path:
        """Where what is looked at leaves its indexes."""
        found = self.out / "scratch"
        found.mkdir(parents=True, exist_ok=True)
        return found

    def folders(self) -> list[Path]:
        """The folders of images that were named."""
        return [each for each in self.images if each.is_dir()]


def app_of(studio: Studio, hosts: Sequence[str] = LOOPBACK) -> FastAPI:
    """The page of a studio, which answers to these names of the machine only: another site cannot pose as it."""
    from nicegui import app as nicegui_app
    from nicegui import ui

    from .page import draw

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*hosts, "testserver"])

    @app.get(f"{PICTURES}/{{name}}")
    def picture(name: str) -> Response:
        data = SERVED.get(name)
        if data is None:
            return Response("it is no longer kept", 404)
        kind = _KINDS.get(Path(name).suffix, "application/octet-stream")
        return Response(data, media_type=kind, headers={"Cache-Control": "private, max-age=3600"})

    @ui.page("/", title="rwsr studio")
    def page() -> None:
        draw(studio)

    nicegui_app.on_shutdown(cancel_all)
    ui.run_with(app, title="rwsr studio", dark=None, reconnect_timeout=_GONE_AFTER_S)
    return app


def serve(studio: Studio, *, host: str = "127.0.0.1", port: int = 0, show: bool = True) -> None:
    """Serve the studio until Ctrl-C. port: 0 takes a free one.

    Raises:
        UserError: the port is taken, or the machine has no such address.
    """
    bound = _bound(host, port)
    found = bound.getsockname()[1]
    name = f"[{host}]" if ":" in host else host
    address = f"http://{'127.0.0.1' if host == '0.0.0.0' else name}:{found}"
    home = host in LOOPBACK
    app = app_of(studio, LOOPBACK if home else ["*"])
    config: Any = uvicorn.Config(app, log_level="warning", access_log=False, ws_max_size=2**24,
                                 timeout_graceful_shutdown=1)  # fmt: skip
    server = uvicorn.Server(config)
    say(f"the studio is at {address}; Ctrl-C ends it, and what it makes goes to {studio.out}")
    if not home:
        say("note: everybody who reaches this machine can use it; files are named by upload alone")
    if show:
        Timer(0.8, webbrowser.open, (address,)).start()
    server.run(sockets=[bound])


def _bound(host: str, port: int) -> socket.socket:
    try:
        found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(128)  # who comes before the server runs waits
    except OSError as error:
        raise UserError(f"{host}:{port} cannot be served at ({error.strerror or error}); name another --port") from None
    return found
