"""The clients: one blocking, one for asyncio, with the same methods."""

from copy import copy
from types import TracebackType
from typing import Self, cast

import grpc
from grpc import aio

from penstock._base.caller import AsyncCaller, Caller
from penstock._base.late_channel import LateChannel
from penstock._base.settings import UNSET, MetadataLike, Settings, Unset
from penstock.admin import Admin, AsyncAdmin
from penstock.batch import AsyncBatch, Batch
from penstock.channel import TLS, Options, async_opener, open_channel
from penstock.chat import AsyncChat, Chat
from penstock.classify import AsyncClassifier, Classifier
from penstock.completions import AsyncCompletions, Completions
from penstock.embeddings import AsyncEmbedder, Embedder
from penstock.generation import AsyncGenerations, Generations
from penstock.health import DEFAULT_WAIT_S, AsyncHealth, Health
from penstock.models import AsyncModels, Models
from penstock.pool import AsyncPooler, Pooler
from penstock.rerank import AsyncReranker, Reranker
from penstock.responses import AsyncResponses, Responses
from penstock.score import AsyncScorer, Scorer
from penstock.tokenize import AsyncDetokenizer, AsyncTokenizer, Detokenizer, Tokenizer
from penstock.transcribe import AsyncTranscriber, Transcriber


class Client:
    """A client of a Penstock service; several threads may use it at the same time.

        >>> with Client(target) as client:
        ...     client.chat.create("Say hello.").text
        'Hello! How can I help you today?'

    It connects on the first call. An argument that is not given is read from its environment
    variable, with surrounding white space removed; if that is not set either, the default applies.

    Args:
        target: "host:port", or any name that gRPC resolves. Environment: PENSTOCK_TARGET. Default:
            127.0.0.1:50051.
        api_key: sent as `authorization: Bearer`, in clear text unless TLS is used. Environment:
            PENSTOCK_API_KEY.
        tls: True for TLS with the system's certificates, or TLS settings. Environment: PENSTOCK_TLS
            (1 or 0), and the files PENSTOCK_TLS_CA, PENSTOCK_TLS_CERT and PENSTOCK_TLS_KEY.
            Default: clear text.
        timeout: seconds until a call ends with `DeadlineExceededError`; None: never. A call's own
            `timeout` overrides it. Environment: PENSTOCK_TIMEOUT (0: never). Default: 600.
        retries: maximum number of retries when the service is unavailable, 0 to 4. A call is
            retried only before its first answer and within its timeout. Environment:
            PENSTOCK_RETRIES. Default: 2.
        metadata: sent with every call.
        channel_options: gRPC channel options, which override settings of the same name.
        channel: an existing channel to use. `close` does not close it, and `target`, `tls`,
            `retries` and `channel_options` do not apply to it.

    Raises:
        ValueError: the target is a URL or lacks its port, a value is out of range, or the API key
            or the metadata contains characters that a header cannot contain.
        OSError: a file of `tls` cannot be read.

    Attributes:
        channel: the channel, for use with the generated stubs.
        chat: conversations with a model.
        responses: conversations through the Responses API.
        completions: completions of texts.
        generation: generation from token ids.
        embeddings: embedding vectors of texts and media.
        rerank: orders documents by relevance to a query.
        score: scores pairs of queries and documents.
        classify: classifies texts and media.
        pool: raw output of pooling models.
        tokenize: converts text to tokens.
        detokenize: converts tokens to text.
        transcribe: converts speech to text.
        batch: many independent requests in one call.
        models: the models that the service offers.
        health: health of the service.
        admin: state of the upstreams; the client's target must be the admin address.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        api_key: str | None = None,
        tls: TLS | bool | None = None,
        timeout: float | Unset | None = UNSET,
        retries: int | None = None,
        metadata: MetadataLike = (),
        channel_options: Options = (),
        channel: grpc.Channel | None = None,
    ) -> None:
        settings = Settings.resolve(target, api_key, tls, timeout, retries, metadata)
        self._own = channel is None
        self.channel = channel or open_channel(
            settings.target, channel_options, tls=settings.tls, retries=settings.retries
        )
        name = "the service" if channel else settings.target
        self._use(Caller(self.channel, settings, name))

    def _use(self, caller: Caller) -> None:
        self._caller = caller
        self.chat = Chat(caller)
        self.responses = Responses(caller)
        self.completions = Completions(caller)
        self.generation = Generations(caller)
        self.embeddings = Embedder(caller)
        self.rerank = Reranker(caller)
        self.score = Scorer(caller)
        self.classify = Classifier(caller)
        self.pool = Pooler(caller)
        self.tokenize = Tokenizer(caller)
        self.detokenize = Detokenizer(caller)
        self.transcribe = Transcriber(caller)
        self.batch = Batch(caller)
        self.models = Models(caller)
        self.health = Health(caller)
        self.admin = Admin(caller)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def with_options(
        self,
        *,
        timeout: float | Unset | None = UNSET,
        api_key: str | None = None,
        metadata: MetadataLike = (),
    ) -> Self:
        """Returns a client with other settings on the same connection.

            >>> client.with_options(timeout=5).chat.create("Say hello.").text
            'Hello! How can I help you today?'

        Closing it does not close the connection; closing this client closes both.

        Args:
            timeout: replaces the timeout.
            api_key: replaces the API key; empty for none.
            metadata: sent with every call in addition.

        Raises:
            ValueError: the API key or the metadata contains characters that a header cannot
                contain.
        """
        made = copy(self)
        made._own = False
        made._use(self._caller.derived(self._caller.settings.changed(timeout, api_key, metadata)))
        return made

    def wait_ready(self, timeout: float | None = DEFAULT_WAIT_S) -> None:
        """Waits until the service is reachable and serving.

        >>> client.wait_ready(timeout=10)

        Raises:
            DeadlineExceededError: `timeout` seconds passed; the message contains the cause.
        """
        self.health.wait(timeout)

    def close(self) -> None:
        """Closes the client; later calls raise `ClientClosedError`.

        Closes the connection and cancels running calls, unless the channel was passed in.
        """
        self._caller.close()
        if self._own:
            self.channel.close()


class AsyncClient:
    """Asyncio counterpart of `Client`: await its methods, read streams with `async for`.

        >>> async def main():
        ...     async with AsyncClient(target) as client:
        ...         async with client.chat.stream("Say hello.") as stream:
        ...             async for text in stream.text_stream:
        ...                 print(text, end="")
        >>> asyncio.run(main())
        Hello! How can I help you today?

    It may be created outside an event loop, and belongs to the event loop of its first call.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        api_key: str | None = None,
        tls: TLS | bool | None = None,
        timeout: float | Unset | None = UNSET,
        retries: int | None = None,
        metadata: MetadataLike = (),
        channel_options: Options = (),
        channel: aio.Channel | None = None,
    ) -> None:
        settings = Settings.resolve(target, api_key, tls, timeout, retries, metadata)
        self._own = channel is None
        self._channel = channel or LateChannel(
            async_opener(
                settings.target, channel_options, tls=settings.tls, retries=settings.retries
            )
        )
        name = "the service" if channel else settings.target
        self._use(AsyncCaller(cast(aio.Channel, self._channel), settings, name))

    def _use(self, caller: AsyncCaller) -> None:
        self._caller = caller
        self.chat = AsyncChat(caller)
        self.responses = AsyncResponses(caller)
        self.completions = AsyncCompletions(caller)
        self.generation = AsyncGenerations(caller)
        self.embeddings = AsyncEmbedder(caller)
        self.rerank = AsyncReranker(caller)
        self.score = AsyncScorer(caller)
        self.classify = AsyncClassifier(caller)
        self.pool = AsyncPooler(caller)
        self.tokenize = AsyncTokenizer(caller)
        self.detokenize = AsyncDetokenizer(caller)
        self.transcribe = AsyncTranscriber(caller)
        self.batch = AsyncBatch(caller)
        self.models = AsyncModels(caller)
        self.health = AsyncHealth(caller)
        self.admin = AsyncAdmin(caller)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def channel(self) -> aio.Channel:
        """The channel, for use with the generated stubs; opened in the running event loop."""
        return self._channel.opened() if isinstance(self._channel, LateChannel) else self._channel

    def with_options(
        self,
        *,
        timeout: float | Unset | None = UNSET,
        api_key: str | None = None,
        metadata: MetadataLike = (),
    ) -> Self:
        """See `Client.with_options`."""
        made = copy(self)
        made._own = False
        made._use(self._caller.derived(self._caller.settings.changed(timeout, api_key, metadata)))
        return made

    async def wait_ready(self, timeout: float | None = DEFAULT_WAIT_S) -> None:  # noqa: ASYNC109
        """See `Client.wait_ready`."""
        await self.health.wait(timeout)

    async def close(self) -> None:
        """See `Client.close`."""
        self._caller.close()
        if self._own:
            await self._channel.close()
