"""The documentation site: it is complete, its links and anchors hold, and it loads nothing else."""

import posixpath
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from urllib.parse import unquote

import pytest
from google.protobuf.descriptor import FileDescriptor

import penstock
import penstock.v1
from docs.markdown import links
from penstock._base.caller import Resource
from website.build import ZENSICAL, build, navigation, overview
from website.index import INDEX, ROOT, sections
from website.reference import api, command_line, errors
from website.sources import DeadLink, with_links

DOCS = INDEX.parent
# Attributes with addresses that a browser loads by itself.
LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """The addresses and anchors of a page."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.anchors.add(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if (attribute := LOADED.get(tag)) in given and given.get("rel") != "canonical":
            self.loaded.append(given[attribute or ""])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built without warnings."""
    assert ZENSICAL.exists(), "run: make .venv/.docs"
    return build(tmp_path_factory.mktemp("docs"))


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    """The pages by their paths."""
    return {str(file.relative_to(site)): Page(file) for file in site.rglob("*.html")}


def test_every_page_is_in_the_index() -> None:
    listed = [entry.path for one in sections(INDEX.read_text("utf-8")) for entry in one.entries]
    assert len(listed) == len(set(listed))
    written = {str(file.relative_to(ROOT)) for file in DOCS.rglob("*.md") if file != INDEX}
    assert written - set(listed) == set(), "pages without a row in docs/README.md"
    assert all((ROOT / path).is_file() for path in listed)


def test_the_navigation_has_every_page(pages: dict[str, Page]) -> None:
    listed = {path.replace(".md", ".html") for path in leaves(navigation())}
    others = {path for path in pages if not path.startswith("source/")}
    assert others - listed == {"404.html", "contents.html"}


def leaves(navigation: object) -> Iterator[str]:
    if isinstance(navigation, str):
        yield navigation
    elif isinstance(navigation, dict):
        yield from leaves(list(navigation.values()))
    elif isinstance(navigation, list):
        for one in navigation:
            yield from leaves(one)


def test_links_and_anchors(site: Path, pages: dict[str, Page]) -> None:
    broken = []
    for path, page in pages.items():
        for link in page.links:
            target, _, anchor = link.partition("#")
            if "://" in target or path == "404.html":
                continue
            there = posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(target)))
            there = there if target else path
            if there.endswith(".html") and there in pages:
                holds = not anchor or unquote(anchor) in pages[there].anchors
            else:
                holds = (site / there).exists()
            if not holds:
                broken.append(f"{path}: {link}")
    assert not broken, "\n".join(broken)


def test_nothing_is_loaded_from_elsewhere(pages: dict[str, Page], site: Path) -> None:
    assert not [one for page in pages.values() for one in page.loaded if "//" in one]
    styles = "".join(file.read_text("utf-8") for file in site.rglob("*.css"))
    assert "url(http" not in styles
    assert "@import" not in styles


def test_every_page_is_there_as_markdown(site: Path, pages: dict[str, Page]) -> None:
    missing = {path for path in pages if not (site / path).with_suffix(".md").exists()}
    assert missing == {"404.html"}


def test_the_overview_for_language_models(site: Path) -> None:
    assert (site / "llms.txt").read_text("utf-8") == overview()
    linked = links(overview())
    assert len(linked) > 40
    assert all((site / path).is_file() for path in linked)


def test_a_dead_anchor_ends_the_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(api, "pages", lambda: iter([*PAGES, ("x.md", "[x](index.md#nowhere)")]))
    with pytest.raises(subprocess.CalledProcessError):
        build(tmp_path)


def test_a_dead_link_names_the_page() -> None:
    with pytest.raises(DeadLink, match=r"chat\.md: nowhere\.md: there is no docs/nowhere\.md"):
        with_links("[x](nowhere.md)", "docs", "chat.md", lambda _: None)


PAGES = list(api.pages())
PROTOS = [one for one in iter_modules(penstock.v1.__path__) if one.name.endswith("_pb2")]


def test_the_reference_has_every_element(pages: dict[str, Page]) -> None:
    anchors = {one for path, page in pages.items() if "/api/" in path for one in page.anchors}
    protos = [import_module(f"penstock.v1.{one.name}").DESCRIPTOR for one in PROTOS]
    expected = {name for proto in protos for name in elements(proto)}
    assert len(expected) > 500
    assert expected - anchors == set()


def elements(proto: FileDescriptor) -> Iterator[str]:
    """Yields the names of the services, RPCs, messages, fields and enums of a proto."""
    for service in proto.services_by_name.values():
        yield service.name
        yield from (f"{service.name}.{rpc.name}" for rpc in service.methods)
    yield from proto.enum_types_by_name
    for message in proto.message_types_by_name.values():
        yield message.name
        yield from (f"{message.name}.{field.name}" for field in message.fields)
        yield from (f"{message.name}.{enum.name}" for enum in message.enum_types)


def test_every_reason_has_an_anchor(pages: dict[str, Page]) -> None:
    assert {reason for _, reason in errors.rows()} <= pages["errors.html"].anchors
    linked = [link for path, page in pages.items() if "/api/" in path for link in page.links]
    assert "../../errors.html#MODEL_NOT_FOUND" in linked
    text = "".join(content for _, content in PAGES)
    assert "[NOT_FOUND\nMODEL_NOT_FOUND](" in text
    assert "buf:lint" not in text


def test_the_reference_of_the_command_line(pages: dict[str, Page]) -> None:
    anchors = pages["reference/command-line.html"].anchors
    assert set(command_line.commands()) <= anchors
    text = command_line.page()
    options = {
        option
        for name, parser in command_line.commands().items()
        for action in parser._actions
        for option in action.option_strings
        if name != "serve" and command_line.shown(action)
    }
    assert len(options) > 40
    assert not [option for option in options if option not in text]


def test_the_reference_of_the_client(pages: dict[str, Page]) -> None:
    anchors = pages["reference/python.html"].anchors
    assert set(penstock.__all__) - anchors == {"AsyncClient"}
    with penstock.Client("127.0.0.1:1") as client:
        for name, resource in vars(client).items():
            if isinstance(resource, Resource):
                methods = {f"client.{name}.{one}" for one in public_methods(type(resource))}
                assert {f"client.{name}", *methods} <= anchors
                assert (f"client.{name}()" in anchors) == callable(resource)
    assert {"ChatOptions", "ChatCompletion.usage", "Ranking.usage"} <= anchors


def public_methods(cls: type) -> list[str]:
    return [name for name in vars(cls) if not name.startswith("_")]
