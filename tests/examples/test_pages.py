"""Code on the pages in languages other than Python, and their instructions for installation."""

import shutil
from pathlib import Path

import pytest
from docs.markdown import blocks, commands

from penstock_server.app import Service

from .test_clients import EXAMPLES, shell

ROOT = EXAMPLES.parent
README = (ROOT / "README.md").read_text("utf-8")
HELLO = "Hello! How can I help you today?"


@pytest.mark.timeout(300)
async def test_typescript_without_stubs(service: Service, tmp_path: Path) -> None:
    (code,) = blocks((ROOT / "docs" / "languages.md").read_text("utf-8"), "ts")
    example = EXAMPLES / "typescript-grpc-js"
    if not (example / "node_modules").exists():
        await shell("npm ci", example)
    for name in ("package.json", "tsconfig.json"):
        shutil.copy(example / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(example / "node_modules")
    (tmp_path / "protos").symlink_to(ROOT / "protos")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "client.ts").write_text(at(code, service))
    await shell("node_modules/.bin/tsc", tmp_path)
    printed = await shell("node build/src/client.js", tmp_path)
    assert printed == HELLO + "\n"


JAVA = """import io.grpc.*;
import penstock.v1.*;

public final class Hello {
  public static void main(String[] arguments) {
%s
    channel.shutdownNow();
  }
}
"""


async def built(language: str) -> Path:
    """Builds an example by the commands in its README; returns its folder."""
    example = EXAMPLES / language
    *building, _ = commands((example / "README.md").read_text("utf-8"))
    for command in building:
        await shell(command, example)
    return example


@pytest.mark.timeout(900)
async def test_java_in_the_readme(service: Service, tmp_path: Path) -> None:
    (code,) = blocks(README, "java")
    example = await built("java")
    (tmp_path / "Hello.java").write_text(JAVA % at(code, service))
    path = f"{example}/build/classes:{example}/build/lib/*"
    await shell(f"javac -d . -cp '{path}' Hello.java", tmp_path)
    printed = await shell(f"java -cp '.:{path}' Hello", tmp_path)
    assert printed == HELLO


CPP = """#include <grpcpp/grpcpp.h>

#include <iostream>

#include "penstock/v1/chat_completion.grpc.pb.h"

int main() {
%s}
"""


@pytest.mark.timeout(900)
async def test_cpp_in_the_readme(service: Service, tmp_path: Path) -> None:
    (code,) = blocks(README, "cpp")
    example = await built("cpp")
    (tmp_path / "hello.cc").write_text(CPP % at(code, service))
    stubs = f"-I {example}/build/generated $(find {example}/build -name '*.pb.cc.o')"
    libraries = "$(pkg-config --cflags --libs grpc++ protobuf)"
    await shell(f"g++ -std=c++17 -o hello hello.cc {stubs} {libraries}", tmp_path)
    assert await shell("./hello", tmp_path) == HELLO


INSTALLING = (ROOT / "docs" / "python.md").read_text("utf-8").partition("## A first call")[0]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", range(2), ids=["clone", "wheel"])
async def test_installing(way: int, service: Service, tmp_path: Path) -> None:
    commands = blocks(INSTALLING, "sh")[way].replace("path/to/penstock", str(ROOT))
    await shell(commands, tmp_path)
    target = f"127.0.0.1:{service.port}"
    program = "import penstock; print(penstock.Client().chat.create('Say hello.').text)"
    printed = await shell(f'env/bin/python -c "{program}"', tmp_path, PENSTOCK_TARGET=target)
    assert printed == HELLO + "\n"
    printed = await shell("env/bin/penstock chat 'Say hello.'", tmp_path, PENSTOCK_TARGET=target)
    assert printed == HELLO + "\n"
    with pytest.raises(AssertionError, match=r'pip install "penstock\[server\]"'):
        await shell("env/bin/penstock serve", tmp_path)


def at(code: str, service: Service) -> str:
    """Returns code of a page, adapted to the service of this test."""
    assert code.count("127.0.0.1:50051") == 1
    return code.replace("127.0.0.1:50051", f"127.0.0.1:{service.port}")
