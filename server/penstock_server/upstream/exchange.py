"""One exchange with an upstream: a request over a transport of httpx, and its answer.

Exceptions of the transport become an `UpstreamFailure` here, and the progress of the exchange is
recorded in the call's `Attempts`.
"""

from collections.abc import AsyncGenerator, Callable
from types import TracebackType

import httpx

from penstock_server.upstream.call import Attempts
from penstock_server.upstream.failure import Stage, UpstreamFailure
from penstock_server.upstream.http.transport import StaleConnection
from penstock_server.upstream.limits import Limits
from penstock_server.upstream.request_id import unique
from penstock_server.upstream.response import Response
from penstock_server.upstream.transport_failures import ERRORS, failure_of

PATH = "path"
"""The extension of a request that holds its path below the URL of the upstream."""
ID = "id"
"""The extension of a request that holds its header X-Request-Id."""


class UploadStream(httpx.AsyncByteStream):
    """The body of a request that is sent as it arrives."""

    def __init__(self, content: AsyncGenerator[bytes, None]) -> None:
        """Creates the stream.

        Args:
            content: yields the body; `aclose` closes it.
        """
        self.on_end: Callable[[], None] | None = None
        self._content = content

    def __aiter__(self) -> "UploadStream":
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._content)
        except StopAsyncIteration:
            if self.on_end:
                self.on_end()
            raise

    async def aclose(self) -> None:
        """Closes the content."""
        await self._content.aclose()


class Exchange:
    """One request and its answer; an asynchronous context manager.

    It yields the head of the answer. Leaving it ends the exchange.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        request: httpx.Request,
        limits: Limits,
        attempts: Attempts,
        most_bytes: int,
    ) -> None:
        """Creates an exchange; sends nothing yet.

        Args:
            transport: sends the request.
            request: the request.
            limits: its time limits.
            attempts: the record of the call's requests.
            most_bytes: the largest body of an answer.
        """
        self._transport = transport
        self._request = request
        self._limits = limits
        self._attempts = attempts
        self._most_bytes = most_bytes
        # Kept here: a transport may read the stream and replace it.
        self._stream = request.stream if isinstance(request.stream, UploadStream) else None
        self._response: Response | None = None
        self._extensions = extensions = request.extensions
        extensions["deadline"] = limits.answered_by
        extensions["timeout"] = limits.timeouts

    async def __aenter__(self) -> Response:
        """Sends the request.

        Raises:
            UpstreamFailure: there was no answer.
            Exception: whatever the content of an upload raises.
        """
        self._attempts.begin(self._extensions[PATH])
        if self._stream:
            return await self._upload(self._stream)
        try:
            response = await self._transport.handle_async_request(self._request)
        except StaleConnection:
            response = await self._retry()
        except ERRORS as error:
            raise self._failure(error, Stage.HEADERS) from error
        return self._begin(response)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._response
        if isinstance(error, UpstreamFailure):
            self._response.doubt(error)
        if self._stream:
            await self._end()
        else:
            await self._response.aclose()

    async def _retry(self) -> httpx.Response:
        """Retries a request that may have reached the upstream under its first id."""
        extensions = self._extensions
        extensions[ID] = self._request.headers["x-request-id"] = unique(extensions[ID])
        extensions["fresh_connection"] = True
        try:
            return await self._transport.handle_async_request(self._request)
        except ERRORS as error:
            raise self._failure(error, Stage.HEADERS) from error

    def _failure(self, error: Exception, stage: Stage) -> UpstreamFailure:
        return failure_of(error, stage, self._limits.answer())

    def _begin(self, response: httpx.Response) -> Response:
        self._attempts.status = response.status_code
        self._response = Response(
            response, self._extensions[ID], self._attempts, self._limits, self._most_bytes
        )
        return self._response

    async def _upload(self, stream: UploadStream) -> Response:
        stream.on_end = self._sent
        self._attempts.stage = Stage.REQUEST
        stage = Stage.HEADERS
        try:
            response = await self._transport.handle_async_request(self._request)
            begun, stage = self._begin(response), Stage.BODY
            if upload := response.extensions.get("upload"):
                await upload.finish()
            return begun
        except ERRORS as error:
            failure = self._failure(error, stage)
            await self._end()
            raise failure from error
        except BaseException:
            await self._end()
            raise

    def _sent(self) -> None:
        """Records that an upload was sent; the limit of its answer starts."""
        self._attempts.stage = Stage.HEADERS
        self._limits.sent()

    async def _end(self) -> None:
        try:
            if self._response:
                await self._response.aclose()
        finally:
            if self._stream:
                await self._stream.aclose()
