"""The reference of the Python client, from the docstrings in its source."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from website.index import ROOT
from website.markdown import cell
from website.reference.docstrings import as_markdown, entries

_PACKAGE = ROOT / "client" / "penstock"
_INTRODUCTION = """# Python API

Everything that `penstock` exports, from its docstrings. [Python client](../python.md) shows how to
use it. `AsyncClient` has the methods of `Client`; await them, and read streams with `async for`."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """The definitions of the package.

    Attributes:
        classes: the classes by name.
        functions: the functions of the modules by name.
        aliases: other names of classes.
    """

    classes: dict[str, ast.ClassDef]
    functions: dict[str, Function]
    aliases: dict[str, str]

    def options(self, name: str) -> dict[str, str]:
        """Returns the options of a class of options with their descriptions.

        Those of its bases follow its own.
        """
        if (cls := self.classes.get(name)) is None:
            return {}
        described = dict(entries(_docstring(cls), "Attributes"))
        found = {
            node.target.id: described.get(node.target.id, "")
            for node in cls.body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        }
        for base in cls.bases:
            for option, text in self.options(ast.unparse(base)).items():
                found.setdefault(option, text)
        return found


def page() -> str:
    """Returns the page."""
    text = "\n\n".join([_INTRODUCTION, *_blocks(_source()), ""])
    anchors = set(re.findall(r"\{ #(\S+) \}", text))
    return re.sub(
        r"(?<=[^|][ (])`([\w.]+)`",
        lambda name: f"[{name[0]}](#{name[1]})" if name[1] in anchors else name[0],
        text,
    )


def exported() -> list[str]:
    """Returns the names that the package exports."""
    for node in ast.parse((_PACKAGE / "__init__.py").read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    raise ValueError("penstock has no __all__")


def resources() -> dict[str, str]:
    """Returns the class of each resource of a client."""
    return {
        node.targets[0].attr: node.value.func.id
        for node in ast.walk(_source().classes["Client"])
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Attribute)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and [ast.unparse(one) for one in node.value.args] == ["caller"]
    }


def _source() -> Source:
    """Returns the definitions of all modules; the first of a name counts."""
    classes: dict[str, ast.ClassDef] = {}
    functions: dict[str, Function] = {}
    aliases: dict[str, str] = {}
    for file in sorted([*_PACKAGE.glob("*.py"), *(_PACKAGE / "_base").glob("*.py")]):
        for node in ast.parse(file.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef):
                classes.setdefault(node.name, node)
            elif isinstance(node, Function):
                functions.setdefault(node.name, node)
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
                aliases[ast.unparse(node.targets[0])] = node.value.id
    return Source(classes, functions, aliases)


def _blocks(source: Source) -> Iterator[str]:
    yield from _class(source, "Client", "Client")
    for name, cls in resources().items():
        yield from _class(source, cls, f"client.{name}")
        for options in dict.fromkeys(map(_options, _methods(source.classes[cls]))):
            yield from _option_table(source, options)
    for name in exported():
        if name in source.functions:
            yield from _function(source.functions[name], "##", name)
        elif name in source.classes and name not in ("Client", "AsyncClient"):
            yield from _class(source, name, name)
        elif name in source.aliases:
            yield f"## {name} {{ #{name} }}"
            yield f"Another name of `{source.aliases[name]}`."


def _options(method: Function) -> str:
    """Returns the name of the class of options that a method accepts; empty for none."""
    annotation = method.args.kwarg and method.args.kwarg.annotation
    return ast.unparse(annotation).removeprefix("Unpack[").removesuffix("]") if annotation else ""


def _option_table(source: Source, name: str) -> Iterator[str]:
    if options := source.options(name):
        yield f"## {name} {{ #{name} }}"
        rows = [f"| `{option}` | {cell(text)} |" for option, text in options.items()]
        yield "\n".join(["| option | |", "| --- | --- |", *rows])


def _class(source: Source, name: str, title: str) -> Iterator[str]:
    cls = source.classes[name]
    yield f"## {title} {{ #{title} }}"
    bases = [ast.unparse(base) for base in cls.bases]
    known = [f"[`{base}`](#{base})" for base in bases if base in exported()]
    if known:
        yield f"A kind of {', '.join(known)}."
    yield as_markdown(_docstring(cls))
    for method in _members(source, cls):
        yield from _member(method, title)


def _members(source: Source, cls: ast.ClassDef) -> list[Function]:
    """Returns the public methods of a class and of those of its bases that are not exported."""
    found = {
        method.name: method
        for method in _methods(cls)
        if method.name == "__call__" or not method.name.startswith("_")
    }
    for base in cls.bases:
        name = ast.unparse(base).partition("[")[0]
        if name in source.classes and name not in exported():
            for method in _members(source, source.classes[name]):
                found.setdefault(method.name, method)
    return list(found.values())


def _member(method: Function, owner: str) -> Iterator[str]:
    if any(ast.unparse(one) == "property" for one in method.decorator_list):
        kind = f": {ast.unparse(method.returns)}" if method.returns else ""
        yield f"### {owner}.{method.name} {{ #{owner}.{method.name} }}"
        yield f"```python\n{method.name}{kind}\n```"
        yield as_markdown(_docstring(method))
        return
    called = method.name == "__call__"
    yield from _function(method, "###", f"{owner}()" if called else f"{owner}.{method.name}")


def _function(function: Function, level: str, title: str) -> Iterator[str]:
    yield f"{level} {title} {{ #{title} }}"
    yield f"```python\n{_signature(function)}\n```"
    yield as_markdown(_docstring(function))


def _signature(function: Function) -> str:
    """Returns the name, arguments and result of a function, one argument per line if it is long."""
    arguments = ast.unparse(function.args).removeprefix("self, ").removeprefix("self")
    result = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    name = function.name.removeprefix("__call__")
    line = f"{name}({arguments}){result}"
    if len(line) <= 80:
        return line
    return f"{name}(\n    {_lines(function.args)}\n){result}"


def _lines(arguments: ast.arguments) -> str:
    """Returns the arguments on lines of their own."""
    whole = ast.unparse(arguments).removeprefix("self, ")
    parts, depth = [""], 0
    for character in whole:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return ",\n    ".join(part.strip() for part in parts)


def _methods(cls: ast.ClassDef) -> list[Function]:
    return [node for node in cls.body if isinstance(node, Function)]


def _docstring(node: ast.ClassDef | Function) -> str:
    return ast.get_docstring(node) or ""
