"""The process of the page: `python -m recontour.service.page.main SITE.toml`.

uvicorn serves it. It ends like every process of a site, after what it is writing.
"""

import asyncio
import logging
import socket
import sys
from collections.abc import Sequence
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from recontour.service.child import Ending, begin_child
from recontour.service.page.app import make_app
from recontour.service.settings import PageSettings

log = logging.getLogger(__name__)

HEADER_S = 10.0  # for a request's header; the body has its own time
IDLE_S = 30  # that a connection stays open between requests
MOST_AT_ONCE = 200  # connections
GOODBYE_S = 5  # for what is being answered when the site ends
LOOK_S = 0.1  # how often it is seen whether the site ends
OCCUPIED = 1  # the exit code if the address is in use


class HurriedProtocol(H11Protocol):
    """HTTP/1.1 whose requests must begin in time: a silent connection takes nobody's place."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Expect a request from now on."""
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Expect the rest of a request that has begun."""
        if self._deadline is None and not self._is_answering():
            self._expect()
        super().data_received(data)

    def handle_events(self) -> None:
        """Stop expecting a request whose header is here."""
        super().handle_events()
        if self._is_answering():
            self._stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._stop()
        super().connection_lost(exc)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expect(self) -> None:
        self._stop()
        self._deadline = self.loop.call_later(HEADER_S, self._give_up)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self._is_answering() and not self.transport.is_closing():
            self.transport.close()


def server_of(app: ASGIApp, settings: PageSettings) -> uvicorn.Server:
    """Return a server of the page."""
    config = uvicorn.Config(
        app,
        host=settings.address,
        port=settings.port,
        http=HurriedProtocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,  # addresses of patients are nobody's business
        proxy_headers=False,  # sessions.py decides whom to believe
        server_header=False,
        date_header=True,
        limit_concurrency=MOST_AT_ONCE,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=GOODBYE_S,
    )
    return uvicorn.Server(config)


async def serve(server: uvicorn.Server, ending: Ending) -> None:
    """Serve until the site ends."""

    async def watch() -> None:
        while not ending.is_asked:
            await asyncio.sleep(LOOK_S)
        server.should_exit = True

    watching = asyncio.create_task(watch())
    # uvicorn would take the signals that `begin_child` listens for
    await server._serve()
    watching.cancel()


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve a site's page until its parent or a signal ends it."""
    site, store, ending = begin_child("page", arguments)
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    _refuse_occupied(site.page)
    server = server_of(make_app(site, store), site.page)
    asyncio.run(serve(server, ending))


def _refuse_occupied(settings: PageSettings) -> None:
    """Exit if another program has the page's address."""
    family = socket.AF_INET6 if ":" in settings.address else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((settings.address, settings.port))
        except OSError as error:
            log.error("%s:%d cannot be used (%s)", settings.address, settings.port, error.strerror)
            sys.exit(OCCUPIED)


if __name__ == "__main__":
    main()
