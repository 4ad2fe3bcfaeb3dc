"""Finds our field for the one that an upstream's error names."""

from collections.abc import Iterable

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from penstock_server import routes
from penstock_server.convert.fields import CONVERTED, HOMES, REQUESTS

# Names that vLLM gives the input when it is too long.
_LENGTH = ("input_tokens", "input_text")

# One item of the input is not one message: a position in these is not a position in our field.
_AS_A_WHOLE = ((CONVERTED, "messages"),)


def field_path(route: str, param: str) -> str:
    """Returns the path of our field that an upstream error names, or the name unchanged.

    What lies below the field is followed as far as our message has it too.

    Args:
        route: a key of `HOMES`.
        param: JSON keys and positions joined by dots, such as "messages.0.content".
    """
    head, *keys = param.removeprefix("body.").split(".")
    if head in _LENGTH:
        return REQUESTS[route].input or param if route in REQUESTS else param
    home = HOMES.get(route, {}).get(head)
    if not home and route == routes.RESPONSES:
        # vLLM checks the sampling parameters under their names in chats.
        home = HOMES[CONVERTED].get(head)
    if not home:
        return param
    if (route, head) in _AS_A_WHOLE:
        return home
    return home + _below(_field(REQUESTS[route].message, home), keys)


def _field(message: Descriptor, path: str) -> FieldDescriptor:
    """Returns the field at a path of ours."""
    *parents, name = (part.partition("[")[0] for part in path.split("."))
    for parent in parents:
        inner = message.fields_by_name[parent].message_type
        assert inner
        message = inner
    return message.fields_by_name[name]


def _below(field: FieldDescriptor, keys: Iterable[str]) -> str:
    """Returns what follows on the path of a field for keys inside its value."""
    found = ""
    for key in keys:
        if key.isdecimal():
            if not field.is_repeated:
                break
            found += f"[{key}]"
        elif field.message_type and key in field.message_type.fields_by_name:
            field = field.message_type.fields_by_name[key]
            found += f".{key}"
        elif not key[:1].isupper():
            break
        # Else it is a class of vLLM's that the value was tried as.
    return found
