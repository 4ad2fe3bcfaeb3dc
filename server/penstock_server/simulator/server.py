"""The running simulator: listens, finds the handler of a request, applies faults."""

import asyncio
import logging
from collections import deque
from types import TracebackType

from penstock_server import unix_socket
from penstock_server.simulator import sleep
from penstock_server.simulator.faults import FaultError, apply_faults, requested_faults
from penstock_server.simulator.http.answers import Answer
from penstock_server.simulator.http.connection import Connection
from penstock_server.simulator.http.errors import ApiError, unauthorized
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.route_table import Route, resolve
from penstock_server.simulator.state import Engine, State
from penstock_server.simulator.vllm_settings import SimulatorSettings

_log = logging.getLogger(__name__)

_ENGINE_DEAD = "EngineCore encountered an issue. See stack trace (above) for the root cause."


class Simulator:
    """A vLLM-compatible HTTP server without a model.

    ```python
    async with Simulator(SimulatorSettings(listen="127.0.0.1:0")) as simulator:
        print(simulator.url)
    ```
    """

    def __init__(self, settings: SimulatorSettings | None = None) -> None:
        self.settings = settings or SimulatorSettings()
        self.state = State(self.settings)
        self.requests: deque[Request] = deque(maxlen=self.settings.remembered_requests)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Starts to listen; raises OSError if the address is taken."""
        if path := self.settings.socket_path:
            unix_socket.require_free(path)
            self._server = await asyncio.start_unix_server(self._connected, path)
        else:
            self._server = await asyncio.start_server(
                self._connected, self.settings.host, self.settings.port
            )

    async def stop(self) -> None:
        """Stops listening and drops all connections."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        if self.settings.socket_path:
            unix_socket.remove(self.settings.socket_path)
        # The event loop hands over a connection that was just accepted in its next iterations.
        for _ in range(3):
            await asyncio.sleep(0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await server.wait_closed()

    async def __aenter__(self) -> "Simulator":
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    # State for tests to inspect

    @property
    def port(self) -> int:
        """The port in use; only if listening on a host and port."""
        if self._server is None:
            return self.settings.port
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The base URL; `unix:///PATH` on a socket."""
        if self.settings.socket_path:
            return f"unix://{self.settings.socket_path}"
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"http://{host}:{self.port}"

    @property
    def open_connections(self) -> int:
        """The number of open connections."""
        return self.state.activity.connections

    @property
    def active(self) -> int:
        """The number of running generations."""
        return self.state.activity.active

    @property
    def aborted(self) -> int:
        """The number of generations whose caller disconnected."""
        return self.state.activity.aborted

    @property
    def request_count(self) -> int:
        """The number of requests read."""
        return self.state.activity.requests

    async def wait_requests(self, count: int) -> None:
        """Waits until at least `count` requests were read."""
        await self.state.activity.wait_for(lambda: self.request_count >= count)

    async def wait_active(self, count: int) -> None:
        """Waits until exactly `count` generations are running."""
        await self.state.activity.wait_for(lambda: self.active == count)

    async def wait_aborted(self, count: int) -> None:
        """Waits until the callers of at least `count` generations have disconnected."""
        await self.state.activity.wait_for(lambda: self.aborted >= count)

    async def wait_connections(self, count: int) -> None:
        """Waits until exactly `count` connections are open."""
        await self.state.activity.wait_for(lambda: self.open_connections == count)

    # State that tests may change while the simulator runs

    @property
    def faults(self) -> str:
        """Faults of all operations whose request names none."""
        return self.state.faults

    @faults.setter
    def faults(self, faults: str) -> None:
        self.state.faults = faults

    @property
    def path_faults(self) -> dict[str, str]:
        """Faults by path, instead of those of all operations."""
        return self.state.path_faults

    @property
    def adapters(self) -> dict[str, str]:
        """Paths of the LoRA adapters that are loaded, by their names."""
        return self.state.adapters

    @property
    def healthy(self) -> bool:
        """Whether /health may answer 200."""
        return self.state.healthy

    @healthy.setter
    def healthy(self, healthy: bool) -> None:
        self.state.healthy = healthy

    @property
    def engine_dead(self) -> bool:
        """Whether the engine is dead: operations return 500 and /health 503."""
        return self.state.engine_dead

    @engine_dead.setter
    def engine_dead(self, dead: bool) -> None:
        self.state.engine_dead = dead

    @property
    def engine(self) -> Engine:
        """The sleep of the engine."""
        return self.state.engine

    # Serving

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:
            writer.close()
            return
        connection = Connection(
            reader,
            writer,
            self._handle,
            self.state.activity,
            self.settings.keep_alive_timeout,
        )
        task = asyncio.ensure_future(connection.serve())
        self._tasks.add(task)
        # The wait ends with the task, cancelled or not, so that stopping does not raise here.
        await asyncio.wait((task,))
        self._tasks.discard(task)

    async def _handle(self, request: Request) -> Answer:
        self.requests.append(request)
        if self._unauthorized(request):
            return unauthorized()
        route = resolve(request.method, request.path, self.settings)
        if isinstance(route, Answer):
            # An ASGI server refuses a websocket without a route in this way.
            refused = Answer.of_bytes(b"", None, 403) if request.messages else route
            return self._unserved(request) or refused
        try:
            answer = self.state.dialect.edit_answer(await self._answered(route, request))
            everywhere = self.path_faults.get(request.path, self.faults if route.prompt else "")
            if route.needs_engine:
                sleep.hold(answer, self.state)
            apply_faults(answer, requested_faults(request, route.prompt, everywhere))
        except FaultError as error:
            answer = ApiError(f"simulator: {error}").answer()
        answer.generates = route.prompt is not None
        return answer

    def _unserved(self, request: Request) -> Answer | None:
        """Returns the answer of a dialect to a route that the newest version lacks."""
        answer = self.state.dialect.wrong_task(request.path)
        return self.state.dialect.edit_answer(answer) if answer else None

    async def _answered(self, route: Route, request: Request) -> Answer:
        try:
            if self.engine_dead and route.prompt:
                raise ApiError(_ENGINE_DEAD, status=500)
            self.state.dialect.check(request)
            return await route.handler(self.state.dialect.edit_request(request), self.state)
        except ApiError as error:
            return self.state.dialect.refused(request, error).answer()
        except Exception:
            _log.exception("the simulator failed on %s %s", request.method, request.path)
            return ApiError("Internal server error", status=500).answer()

    def _unauthorized(self, request: Request) -> bool:
        key = self.settings.api_key
        if not key or not request.path.startswith(self.state.dialect.guarded):
            return False
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() != "bearer" or token != key


async def serve(settings: SimulatorSettings) -> None:
    """Serves until cancelled; raises OSError if the address is taken."""
    async with Simulator(settings):
        await asyncio.Event().wait()
