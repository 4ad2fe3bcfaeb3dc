"""The tables of options in docs/configuration.md: python -m website.reference.configuration."""

from collections.abc import Iterator

from penstock_server.configuration import Settings, UpstreamTable
from penstock_server.option_list import OptionList
from penstock_server.options import options
from website.index import ROOT
from website.reference.markdown import cell

PAGE = ROOT / "docs" / "configuration.md"
PREFIX = "PENSTOCK_"


def with_tables(page: str) -> str:
    """Returns the page with its tables as they are now."""
    for name, rows in (("options", _options()), ("upstream keys", _upstream_keys())):
        begin, end = f"<!-- {name}, written by make generate -->", f"<!-- end of {name} -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = "\n".join([f"{before}{begin}", *rows, f"{end}{after}"])
    return page


def _options() -> Iterator[str]:
    known = OptionList(Settings, PREFIX)
    yield "| key | value | default | | takes effect |"
    yield "| --- | --- | --- | --- | --- |"
    for name, option in options(Settings).items():
        usual = known.flag(name) == f"--{name.replace('_', '-')}"
        flag = "" if usual else f" (`{known.flag(name)}`)"
        default = "" if known.default(name) == "none" else f"`{known.default(name)}`"
        needs = "" if option.live else "at a start"
        value, text = cell(option.metavar), cell(option.help)
        yield f"| `{name}`{flag} | `{value}` | {default} | {text} | {needs} |"


def _upstream_keys() -> Iterator[str]:
    yield "| key | value | |"
    yield "| --- | --- | --- |"
    for name, option in options(UpstreamTable).items():
        yield f"| `{name}` | `{cell(option.metavar)}` | {cell(option.help)} |"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
