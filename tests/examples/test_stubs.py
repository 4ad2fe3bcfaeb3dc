"""The Go module and the npm package of the stubs: fresh, and imported as their users do."""

import re
import shutil
from pathlib import Path

import pytest
from docs.markdown import blocks

from penstock_server.app import Service
from protos import module_zip, stubs

from .test_clients import EXAMPLES, shell
from .test_pages import HELLO, README, ROOT, at

VERSION = "0.0.1"
LANGUAGES = (ROOT / "docs" / "languages.md").read_text("utf-8")
GOPATH = Path("/usr/share/gocode/src")
# What the stubs import, and what their own tests do.
MODULES = (
    "github.com/golang/protobuf",
    "github.com/google/go-cmp",
    "golang.org/x/net",
    "golang.org/x/sys",
    "golang.org/x/text",
    "google.golang.org/genproto/googleapis/rpc",
    "google.golang.org/grpc",
    "google.golang.org/protobuf",
)
NEW_CLIENT = """conn, err := grpc.NewClient("127.0.0.1:50051",
		grpc.WithTransportCredentials(insecure.NewCredentials()))
"""
INSECURE = '\t"google.golang.org/grpc/credentials/insecure"\n'


def test_the_generators_write_the_same(tmp_path: Path) -> None:
    stubs.generate(tmp_path)
    assert contents(tmp_path) == contents(stubs.GEN)


def contents(folder: Path) -> dict[str, bytes]:
    """Returns the generated files by their paths."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in stubs.generated(folder)}


@pytest.fixture
def go(tmp_path: Path) -> dict[str, str]:
    """The variables of a shell with Go, whose only module proxy has nothing but the stubs."""
    proxy = tmp_path / "proxy"
    # A proxy's paths have no capitals.
    escaped = re.sub("[A-Z]", lambda capital: f"!{capital[0].lower()}", module_zip.path())
    versions = proxy / escaped / "@v"
    versions.mkdir(parents=True)
    (versions / "list").write_text(f"v{VERSION}\n")
    (versions / f"v{VERSION}.info").write_text(f'{{"Version": "v{VERSION}"}}')
    shutil.copy(module_zip.MODULE / "go.mod", versions / f"v{VERSION}.mod")
    module_zip.pack(VERSION, versions / f"v{VERSION}.zip")
    return {
        "GOFLAGS": "-modcacherw",
        "GOMODCACHE": str(tmp_path / "cache"),
        "GOPROXY": proxy.as_uri(),
        "GOSUMDB": "off",
    }


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A command that replaces the libraries of a Go module by Debian's packages."""
    folder = tmp_path_factory.mktemp("debian")
    for module in MODULES:
        copy = folder / module
        copy.mkdir(parents=True)
        for path in (GOPATH / module).iterdir():
            (copy / path.name).symlink_to(path)
        # Their own requirements are modules that the packages lack.
        for name in ("go.mod", "go.sum"):
            (copy / name).unlink(missing_ok=True)
        (copy / "go.mod").write_text(f"module {module}\n\ngo 1.19\n")
    return " ".join(["go mod edit", *(f"-replace {one}={folder / one}" for one in MODULES)])


def program(service: Service) -> str:
    """Returns the Go program of the first page for the libraries of Debian."""
    (code,) = blocks(README, "go")
    (dial,) = blocks(LANGUAGES, "go")
    assert NEW_CLIENT in code
    assert INSECURE in code
    return at(code.replace(NEW_CLIENT, dial).replace(INSECURE, ""), service)


@pytest.mark.timeout(900)
async def test_go_with_a_clone(
    service: Service, tmp_path: Path, go: dict[str, str], libraries: str
) -> None:
    (commands,) = [block for block in blocks(README, "sh") if "go mod init" in block]
    folder = tmp_path / "hello"
    folder.mkdir()
    await shell(commands.replace("path/to/penstock", str(ROOT)), folder, **go)
    await shell(libraries, folder, **go)
    (folder / "main.go").write_text(program(service))
    assert "`go mod tidy && go run .`" in README
    assert await shell("go mod tidy && go run .", folder, **go | {"GOPROXY": "off"}) == HELLO + "\n"


@pytest.mark.timeout(900)
async def test_go_from_a_module_proxy(
    service: Service, tmp_path: Path, go: dict[str, str], libraries: str
) -> None:
    (get,) = [block for block in blocks(LANGUAGES, "sh") if "go get" in block]
    folder = tmp_path / "hello"
    folder.mkdir()
    await shell("go mod init hello", folder, **go)
    await shell(libraries, folder, **go)
    (folder / "main.go").write_text(program(service))
    # The proxy has no grpc-go, so its version is that of the stubs.
    await shell(get.replace(" google.golang.org/grpc@latest", ""), folder, **go)
    assert f"{module_zip.path()} v{VERSION}" in (folder / "go.mod").read_text()
    assert await shell("go mod tidy && go run .", folder, **go) == HELLO + "\n"


@pytest.mark.timeout(900)
async def test_go_with_the_packages_of_debian(service: Service, tmp_path: Path) -> None:
    (link,) = [block for block in blocks(LANGUAGES, "sh") if "ln -s" in block]
    (run,) = [block for block in blocks(LANGUAGES, "sh") if "GO111MODULE" in block]
    (tmp_path / "main.go").write_text(program(service))
    await shell(link.replace("path/to/penstock", str(ROOT)), tmp_path)
    assert await shell(run, tmp_path) == HELLO + "\n"


@pytest.fixture
async def node(tmp_path: Path) -> Path:
    """A folder with TypeScript, Connect and the package of the stubs from its archive."""
    example = EXAMPLES / "typescript-connect"
    for name in ("package.json", "package-lock.json", "tsconfig.json"):
        shutil.copy(example / name, tmp_path)
    await shell("npm ci --ignore-scripts", tmp_path)
    archive = await shell(f"npm pack --silent {stubs.GEN / 'ts'}", tmp_path)
    await shell(f"npm install --ignore-scripts ./{archive}", tmp_path)
    return tmp_path


@pytest.mark.timeout(900)
async def test_npm_package(service: Service, node: Path) -> None:
    (code,) = blocks(README, "ts")
    unary, details = blocks((stubs.GEN / "ts" / "README.md").read_text("utf-8"), "ts")
    source = node / "src"
    source.mkdir()
    (source / "hello.ts").write_text(at(code, service))
    (source / "unary.ts").write_text(at(unary, service) + "console.log(choices.length);\n")
    (source / "details.ts").write_text("declare const error: unknown;\n" + details)
    await shell("node_modules/.bin/tsc", node)
    assert await shell("node build/src/hello.js", node) == HELLO + "\n"
    assert await shell("node build/src/unary.js", node) == "1\n"
    (node / "hello.mjs").write_text(at(code, service))
    assert await shell("node hello.mjs", node) == HELLO + "\n"


@pytest.mark.timeout(900)
async def test_npm_package_of_a_clone(service: Service, tmp_path: Path) -> None:
    (commands,) = [block for block in blocks(README, "sh") if "npm install" in block]
    await shell(commands.replace("path/to/penstock", str(ROOT)), tmp_path)
    (code,) = blocks(README, "ts")
    (tmp_path / "hello.mjs").write_text(at(code, service))
    assert await shell("node hello.mjs", tmp_path) == HELLO + "\n"
