"""Maps a parameter that an upstream's error names to the field of our request."""

from collections.abc import Iterable

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from penstock_server import routes
from penstock_server.convert.fields import CONVERTED, HOMES, REQUESTS

# Names that vLLM uses for the input if it is too long.
_LENGTH = ("input_tokens", "input_text")

# An item of our input is not exactly one message, so positions in these keys do not apply to ours.
_AS_A_WHOLE = ((CONVERTED, "messages"),)


def field_path(route: str, param: str) -> str:
    """Returns the path of our field for the parameter of an upstream error.

    The path below the field is kept where our message has the same structure. A parameter without a
    field is returned unchanged.

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
    """Returns the field at a path of our message."""
    *parents, name = (part.partition("[")[0] for part in path.split("."))
    for parent in parents:
        inner = message.fields_by_name[parent].message_type
        assert inner
        message = inner
    return message.fields_by_name[name]


def _below(field: FieldDescriptor, keys: Iterable[str]) -> str:
    """Returns the rest of a field's path for keys inside its value."""
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
        # Otherwise the key is a class of vLLM that the value was validated against.
    return found
