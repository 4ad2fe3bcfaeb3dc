"""Converts text to tokens and back with a model's tokenizer."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Unpack

from penstock._base.call_info import CallInfo
from penstock._base.caller import AsyncCaller, AsyncResource, Caller, Resource
from penstock._base.item_requests import AsyncKeyed, ItemRequests, Keyed
from penstock._base.item_stream import AsyncItemStream, ItemStream
from penstock._base.option_docs import documented
from penstock._base.options import CallOptions, JsonObject, TemplateOption, build
from penstock._base.result import Result
from penstock.item_result import ItemResult
from penstock.messages import Messages, conversation
from penstock.tools import ToolLike, as_tools
from penstock.v1.tokenization_pb2 import (
    ChatTokenizeInput,
    DetokenizeRequest,
    DetokenizeResponse,
    StreamTokenizeRequest,
    TokenizeRequest,
    TokenizeResponse,
)
from penstock.v1.tokenization_pb2_grpc import TokenizationServiceStub


@documented
class DetokenizeOptions(CallOptions, total=False):
    """Options of detokenization.

    Attributes:
        model: name of the model; optional if there is only one.
        extra_body: upstream parameters that have no field.
    """

    model: str | None
    extra_body: JsonObject | None


@documented
class TokenizeOptions(DetokenizeOptions, TemplateOption, total=False):
    """Options of tokenization; see `TokenizeRequest` in `penstock.v1`.

    Attributes:
        add_special_tokens: whether the tokenizer adds its special tokens; for texts only.
        return_token_strings: whether to return the tokens' texts too.
        tools: tools that the template puts into the prompt; for conversations only.
    """

    add_special_tokens: bool | None
    return_token_strings: bool | None
    tools: Sequence[ToolLike] | None


class Tokens(Result[TokenizeResponse]):
    """Tokens of a text or conversation."""

    def __len__(self) -> int:
        return self.proto.count

    @property
    def ids(self) -> Sequence[int]:
        """The token ids."""
        return self.proto.token_ids

    @property
    def strings(self) -> Sequence[str]:
        """The tokens' texts, if `return_token_strings` is set."""
        return self.proto.token_strings

    @property
    def max_model_len(self) -> int:
        """Maximum number of tokens that the model accepts; 0 if not reported."""
        return self.proto.max_model_len


class Tokenizer(Resource):
    """Converts texts to tokens."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._stub = TokenizationServiceStub(caller.channel)

    def __call__(self, text: Messages, **options: Unpack[TokenizeOptions]) -> Tokens:
        """Returns the tokens of a text, or of a conversation as a chat renders it.

            >>> tokens = client.tokenize("Say hello.")
            >>> len(tokens) == len(tokens.ids)
            True

        Args:
            text: a text, which is tokenized unchanged, or messages.
            **options: see `TokenizeOptions`.

        Raises:
            CallError: the call ended with a status other than OK.
        """
        request = _request(text, options)
        return self._caller.call(self._stub.Tokenize, request, options, Tokens)

    def stream(
        self, items: Keyed[Messages], *, in_order: bool = False, **options: Unpack[TokenizeOptions]
    ) -> ItemStream[ItemResult[Tokens]]:
        """Starts a stream of items, each of which has a result of its own.

            >>> with client.tokenize.stream({"a": "Say hello."}) as results:
            ...     [(result.key, len(result.answer)) for result in results]
            [('a', 3)]

        Args:
            items: texts or messages by their keys. An iterator is read in another thread, as
                the service accepts more items.
            in_order: whether the results have the order of the items; otherwise, each arrives as
                soon as it is ready.
            **options: see `TokenizeOptions`; they apply to every item. The timeout is that of all
                items together; default: none.
        """
        method = self._stub.StreamTokenize
        return _ITEMS.stream(self._caller, method, items, options, in_order=in_order)


class AsyncTokenizer(AsyncResource):
    """Asynchronous counterpart of `Tokenizer`."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._stub = TokenizationServiceStub(caller.channel)

    async def __call__(self, text: Messages, **options: Unpack[TokenizeOptions]) -> Tokens:
        """See `Tokenizer`."""
        request = _request(text, options)
        return await self._caller.call(self._stub.Tokenize, request, options, Tokens)

    def stream(
        self,
        items: AsyncKeyed[Messages],
        *,
        in_order: bool = False,
        **options: Unpack[TokenizeOptions],
    ) -> AsyncItemStream[ItemResult[Tokens]]:
        """See `Tokenizer.stream`; iterate over the result with `async for`, without `await`."""
        method = self._stub.StreamTokenize
        return _ITEMS.stream_async(self._caller, method, items, options, in_order=in_order)


class Detokenizer(Resource):
    """Converts tokens to text."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._stub = TokenizationServiceStub(caller.channel)

    def __call__(self, token_ids: Sequence[int], **options: Unpack[DetokenizeOptions]) -> str:
        """Returns the text of tokens, including special tokens.

            >>> client.detokenize(client.tokenize("Say hello.").ids)
            'Say hello.'

        Raises:
            CallError: the call ended with a status other than OK.
        """
        request = build(DetokenizeRequest, options, token_ids=token_ids)
        return self._caller.call(self._stub.Detokenize, request, options, _text)


class AsyncDetokenizer(AsyncResource):
    """Asynchronous counterpart of `Detokenizer`."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._stub = TokenizationServiceStub(caller.channel)

    async def __call__(self, token_ids: Sequence[int], **options: Unpack[DetokenizeOptions]) -> str:
        """See `Detokenizer`."""
        request = build(DetokenizeRequest, options, token_ids=token_ids)
        return await self._caller.call(self._stub.Detokenize, request, options, _text)


def _request(text: Messages, options: TokenizeOptions) -> TokenizeRequest:
    if isinstance(text, str):
        return build(TokenizeRequest, options, text=text)
    own = ("tools", "template")
    chat = build(
        ChatTokenizeInput,
        {"template": options.get("template")},
        messages=conversation(text),
        tools=as_tools(options.get("tools") or ()),
    )
    rest = {name: value for name, value in options.items() if name not in own}
    return build(TokenizeRequest, rest, chat=chat)


def _requests(options: TokenizeOptions) -> Callable[[Messages], TokenizeRequest]:
    return partial(_request, options=options)


_ITEMS = ItemRequests(StreamTokenizeRequest, _requests, Tokens)


def _text(reply: DetokenizeResponse, call: CallInfo) -> str:
    return reply.text
