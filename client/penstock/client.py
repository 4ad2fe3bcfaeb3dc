"""The clients: one that blocks, and one for asyncio, with the same methods."""

from types import TracebackType
from typing import Self, cast

import grpc
from grpc import aio

from penstock._base.caller import AsyncCaller, Caller
from penstock._base.late_channel import LateChannel
from penstock._base.settings import UNSET, MetadataLike, Settings, Unset
from penstock.admin import Admin, AsyncAdmin
from penstock.channel import TLS, Options, async_opener, open_channel
from penstock.chat import AsyncChat, Chat
from penstock.classify import AsyncClassifier, Classifier
from penstock.completions import AsyncCompletions, Completions
from penstock.embeddings import AsyncEmbedder, Embedder
from penstock.health import DEFAULT_WAIT_S, AsyncHealth, Health
from penstock.models import AsyncModels, Models
from penstock.pool import AsyncPooler, Pooler
from penstock.rerank import AsyncReranker, Reranker
from penstock.responses import AsyncResponses, Responses
from penstock.score import AsyncScorer, Scorer
from penstock.tokenize import AsyncDetokenizer, AsyncTokenizer, Detokenizer, Tokenizer
from penstock.transcribe import AsyncTranscriber, Transcriber


class Client:
    """Calls a Penstock service; may be used by several threads at once.

        >>> with Client(target) as client:
        ...     client.chat.create("Say hello.").text
        'Hello! How can I help you today?'

    It connects with the first call. Each argument that is not given is taken from an environment
    variable, without white space around its value; then there is a default.

    Args:
        target: "host:port", or any name that gRPC resolves. PENSTOCK_TARGET, 127.0.0.1:50051.
        api_key: sent as `authorization: Bearer`, in clear text without TLS. PENSTOCK_API_KEY.
        tls: True for TLS with the system's certificates, or how else. PENSTOCK_TLS (1 or 0),
            PENSTOCK_TLS_CA, PENSTOCK_TLS_CERT and PENSTOCK_TLS_KEY (files); clear text.
        timeout: seconds until a call ends with `DeadlineExceededError`; None: never. A call's own
            `timeout` wins. PENSTOCK_TIMEOUT (0: never), 600.
        retries: how often a call that found the service unavailable is sent again, 0 to 4:
            before its first answer, and within its timeout. PENSTOCK_RETRIES, 2.
        metadata: sent with every call.
        channel_options: options of gRPC; they win over our settings by name.
        channel: a channel to use in place of an own one. It is not closed, and `target`, `tls`,
            `retries` and `channel_options` have no effect on it.

    Raises:
        ValueError: the target is a URL, a value is out of range, or key or metadata have characters
            that no header can have.
        OSError: a file of `tls` cannot be read.

    Attributes:
        channel: the channel, for the generated stubs.
        chat: conversations with a model.
        responses: the Responses form of conversations.
        completions: completions of texts.
        embeddings: vectors that stand for texts and media.
        rerank: orders documents by how well they fit a query.
        score: scores pairs of queries and documents.
        classify: classes of texts and media.
        pool: output of pooling models.
        tokenize: text to tokens.
        detokenize: tokens to text.
        transcribe: speech to text.
        models: the models that the service offers.
        health: whether the service serves.
        admin: what the service knows of its upstreams, for a client of its admin address.
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
        caller = self._caller = Caller(self.channel, settings, name)
        self.chat = Chat(caller)
        self.responses = Responses(caller)
        self.completions = Completions(caller)
        self.embeddings = Embedder(caller)
        self.rerank = Reranker(caller)
        self.score = Scorer(caller)
        self.classify = Classifier(caller)
        self.pool = Pooler(caller)
        self.tokenize = Tokenizer(caller)
        self.detokenize = Detokenizer(caller)
        self.transcribe = Transcriber(caller)
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

    def wait_ready(self, timeout: float | None = DEFAULT_WAIT_S) -> None:
        """Returns as soon as the service can be reached and serves.

        >>> client.wait_ready(timeout=10)

        Raises:
            DeadlineExceededError: it does not within so many seconds; its message says why not.
        """
        self.health.wait(timeout)

    def close(self) -> None:
        """Ends the use of the client; later calls raise `ClientClosedError`.

        Closes the connection and ends running calls, if the channel is the client's own.
        """
        self._caller.closed = True
        if self._own:
            self.channel.close()


class AsyncClient:
    """As `Client`, for asyncio; its methods are awaited, streams are read with `async for`.

        >>> async def main():
        ...     async with AsyncClient(target) as client:
        ...         async with client.chat.stream("Say hello.") as stream:
        ...             async for text in stream.text_stream:
        ...                 print(text, end="")
        >>> asyncio.run(main())
        Hello! How can I help you today?

    It may be made anywhere, and belongs to the event loop of its first call.
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
        caller = self._caller = AsyncCaller(cast(aio.Channel, self._channel), settings, name)
        self.chat = AsyncChat(caller)
        self.responses = AsyncResponses(caller)
        self.completions = AsyncCompletions(caller)
        self.embeddings = AsyncEmbedder(caller)
        self.rerank = AsyncReranker(caller)
        self.score = AsyncScorer(caller)
        self.classify = AsyncClassifier(caller)
        self.pool = AsyncPooler(caller)
        self.tokenize = AsyncTokenizer(caller)
        self.detokenize = AsyncDetokenizer(caller)
        self.transcribe = AsyncTranscriber(caller)
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
        """The channel, for the generated stubs; it is opened in the running event loop."""
        return self._channel.opened() if isinstance(self._channel, LateChannel) else self._channel

    async def wait_ready(self, timeout: float | None = DEFAULT_WAIT_S) -> None:  # noqa: ASYNC109
        """As `Client.wait_ready`."""
        await self.health.wait(timeout)

    async def close(self) -> None:
        """As `Client.close`."""
        self._caller.closed = True
        if self._own:
            await self._channel.close()
