"""The tables of options in the pages: python -m website.reference.configuration."""

from collections.abc import Iterator

from penstock_server.configuration import CallerTable, Settings, UpstreamTable
from penstock_server.option_list import OptionList
from penstock_server.options import options
from website.index import ROOT
from website.markdown import cell

PAGES = (ROOT / "docs" / "configuration.md", ROOT / "docs" / "authentication.md")
PREFIX = "PENSTOCK_"


def with_tables(page: str) -> str:
    """Returns the page with its tables as they are now."""
    tables = {
        "options": _options(),
        "upstream keys": _keys(UpstreamTable),
        "caller keys": _keys(CallerTable),
    }
    for name, rows in tables.items():
        begin, end = f"<!-- {name}, written by make generate -->", f"<!-- end of {name} -->"
        before, found, rest = page.partition(begin)
        if not found:
            continue
        _, _, after = rest.partition(end)
        page = "\n".join([f"{before}{begin}", *rows, f"{end}{after}"])
    return page


def _options() -> Iterator[str]:
    known = OptionList(Settings, PREFIX)
    for name, option in options(Settings).items():
        if option.heading:
            yield from ("", f"### {option.heading[0].upper()}{option.heading[1:]}", "")
            yield "| key | value | default | | takes effect |"
            yield "| --- | --- | --- | --- | --- |"
        usual = known.flag(name) == f"--{name.replace('_', '-')}"
        flag = "" if usual else f" (`{known.flag(name)}`)"
        default = "" if known.default(name) == "none" else f"`{known.default(name)}`"
        needs = "" if option.live else "at a start"
        value, text = cell(option.metavar), cell(option.help)
        yield f"| `{name}`{flag} | `{value}` | {default} | {text} | {needs} |"


def _keys(table: type) -> Iterator[str]:
    yield "| key | value | |"
    yield "| --- | --- | --- |"
    for name, option in options(table).items():
        yield f"| `{name}` | `{cell(option.metavar)}` | {cell(option.help)} |"


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(with_tables(page.read_text("utf-8")), "utf-8")
