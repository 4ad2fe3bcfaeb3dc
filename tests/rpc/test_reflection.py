"""Reflection v1 and v1alpha, as raw gRPC and as `buf curl` uses it."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc import StatusCode, aio
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from penstock_server.app import Service
from penstock_server.rpc.services import SERVICES
from penstock_server.simulator import Simulator

from .calls import Serve, plain_channel

BUF = Path(sys.executable).with_name("buf")
VERSIONS = ("v1", "v1alpha")


async def ask(channel: aio.Channel, version: str, **question: Any) -> ServerReflectionResponse:
    method = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=ServerReflectionRequest.SerializeToString,
        response_deserializer=ServerReflectionResponse.FromString,
    )
    answers = [answer async for answer in method(iter([ServerReflectionRequest(**question)]))]
    assert len(answers) == 1
    return answers[0]


@pytest.mark.parametrize("version", VERSIONS)
async def test_services_are_listed(channel: aio.Channel, version: str) -> None:
    answer = await ask(channel, version, list_services="")
    assert {service.name for service in answer.list_services_response.service} == {
        *SERVICES,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_client_can_learn_every_message(channel: aio.Channel, version: str) -> None:
    pool, known = descriptor_pool.DescriptorPool(), set[str]()

    async def learn(**question: Any) -> None:
        answer = await ask(channel, version, **question)
        for data in answer.file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(data)
            if file.name in known:
                continue
            known.add(file.name)
            for needed in file.dependency:
                await learn(file_by_filename=needed)
            pool.Add(file)

    for service in (*SERVICES, *(f"grpc.reflection.{v}.ServerReflection" for v in VERSIONS)):
        await learn(file_containing_symbol=service)
        assert pool.FindServiceByName(service).methods
    await learn(file_containing_symbol="google.rpc.ErrorInfo")
    assert pool.FindMessageTypeByName("google.rpc.ErrorInfo")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "question",
    [
        {"file_by_filename": "penstock/v1/tokenization.proto"},
        {"file_containing_symbol": "penstock.v1.TokenizationService"},
        {"file_containing_symbol": "penstock.v1.TokenizeResponse.max_model_len"},
    ],
    ids=["by-file", "by-symbol", "by-field"],
)
async def test_every_field_has_its_name_in_json(
    channel: aio.Channel, version: str, question: dict[str, str]
) -> None:
    answer = await ask(channel, version, **question)
    names: dict[str, str] = {}
    for data in answer.file_descriptor_response.file_descriptor_proto:
        file = descriptor_pb2.FileDescriptorProto.FromString(data)
        messages = list(file.message_type)
        for message in messages:
            messages += message.nested_type
            names |= {field.name: field.json_name for field in message.field}
    assert names["max_model_len"] == "maxModelLen"
    assert names["count"] == "count"
    assert all(names.values())


@pytest.mark.parametrize("version", VERSIONS)
async def test_buf_curl(service: Service, version: str) -> None:
    url = f"http://127.0.0.1:{service.port}"
    reflect = ("--reflect-protocol", f"grpc-{version}")
    assert "penstock.v1.ChatCompletionService" in await buf_curl(*reflect, "--list-services", url)
    methods = await buf_curl(*reflect, "--list-methods", url)
    assert "penstock.v1.ChatCompletionService/StreamChatCompletion" in methods
    request = {"messages": [{"role": "ROLE_USER", "content": [{"text": "Say hello."}]}]}
    method = f"{url}/penstock.v1.ChatCompletionService/CreateChatCompletion"
    answer = json.loads(await buf_curl(*reflect, "-d", json.dumps(request), method))
    said = answer["choices"][0]["message"]["content"][0]["text"]
    assert said == "Hello! How can I help you today?"


async def buf_curl(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        BUF,
        "curl",
        "--protocol",
        "grpc",
        "--http2-prior-knowledge",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors
    return output.decode()


async def test_it_can_be_switched_off(simulator: Simulator, serve: Serve) -> None:
    service = await serve(upstream=(simulator.url,), reflection=False)
    async with plain_channel(service) as channel:
        for version in VERSIONS:
            with pytest.raises(aio.AioRpcError) as raised:
                await ask(channel, version, list_services="")
            assert raised.value.code() is StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "symbol",
    [
        "penstock.v1.ChatCompletionService.StreamChatCompletion",
        "penstock.v1.CreateChatCompletionRequest.messages",
        "grpc.health.v1.Health.Watch",
    ],
)
async def test_parts_of_messages_are_found(channel: aio.Channel, version: str, symbol: str) -> None:
    answer = await ask(channel, version, file_containing_symbol=symbol)
    sent = answer.file_descriptor_response.file_descriptor_proto
    found: list[Any] = [descriptor_pb2.FileDescriptorProto.FromString(data) for data in sent]
    assert symbol.split(".")[-2] in {
        one.name for file in found for one in (*file.service, *file.message_type)
    }


@pytest.mark.parametrize(
    "symbol", ["penstock.v1.ChatCompletionService.No", "penstock.v1.No.No", "No", "", "."]
)
async def test_unknown_names_are_not_found(channel: aio.Channel, symbol: str) -> None:
    answer = await ask(channel, "v1", file_containing_symbol=symbol)
    assert answer.error_response.error_code == StatusCode.NOT_FOUND.value[0]
