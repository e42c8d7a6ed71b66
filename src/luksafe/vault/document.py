"""Documents: JSON objects that carry their own SHA-256 (spec/vault.md, section 2)."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from typing import Any, TypeVar, get_args

import msgspec

from luksafe.errors import DamagedInput, UsageError

MAX_DOCUMENT_BYTES = 1 << 20

_END = re.compile(rb'  "sha256": "([0-9a-f]{64})"\n}\n\Z')
_END_BYTES = 81

Json = dict[str, Any]


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """An object of a document. Members that this version does not know stay in ``extra`` and are written back."""

    extra: dict[str, Any] = {}


OpenT = TypeVar("OpenT", bound=Open)


def encode_document(content: Json, limit_bytes: int = MAX_DOCUMENT_BYTES) -> bytes:
    """The bytes of a document. Raises ``UsageError`` when ``content`` is no JSON or too long."""
    try:
        text = msgspec.json.format(_encoded(content), indent=2)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UsageError(f"cannot be written as JSON: {error}") from error
    body = text.removesuffix(b"\n}") + b",\n"
    document = body + b'  "sha256": "' + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n'
    if len(document) > limit_bytes:
        raise UsageError(f"a document of {len(document)} bytes is over the limit of {limit_bytes}")
    return document


def _encoded(content: Json) -> bytes:
    """JSON in UTF-8. A header may say what UTF-8 cannot (lone surrogates): that is spelled out, the rest is kept."""
    try:
        return msgspec.json.encode(content)
    except UnicodeEncodeError:
        return msgspec.json.encode(_spelled(content))


def _spelled(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_spelled(name): _spelled(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(member) for member in value]
    return value


def decode_document(data: bytes, limit_bytes: int = MAX_DOCUMENT_BYTES) -> Json:
    """The object in a document, without its sum. Raises ``DamagedInput`` for anything that is not a whole document."""
    end = _END.search(data, max(0, len(data) - _END_BYTES))
    if len(data) > limit_bytes or end is None:
        raise DamagedInput("cut short, too long, or not a document with a checksum")
    if hashlib.sha256(data[: end.start()]).hexdigest().encode() != end[1]:
        raise DamagedInput("the checksum does not fit: some bytes were changed")
    try:
        content = msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DamagedInput(f"not JSON: {error}") from error
    content.pop("sha256", None)
    return content


def to_json(value: Open) -> Json:
    """The members of an object, those in ``extra`` and those of objects within included."""
    members: Json = {}
    for name in value.__struct_fields__:
        member = getattr(value, name)
        if name != "extra" and member is not msgspec.UNSET:
            members[name] = to_json(member) if isinstance(member, Open) else member
    return members | {name: member for name, member in value.extra.items() if name not in members}


def from_json(kind: type[OpenT], members: Json) -> OpenT:
    """The object that ``members`` describe. Raises ``DamagedInput`` when one is missing or of another type."""
    try:
        return msgspec.convert(_sorted_out(kind, members), kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise DamagedInput(f"not a {kind.__name__.lower()}: {error}") from error


@cache
def _types(kind: type[Open]) -> dict[str, Any]:
    """The types of a struct's members, which are slow to find out."""
    return {field.name: _without_unset(field.type) for field in msgspec.structs.fields(kind)}


def _without_unset(kind: Any) -> Any:
    """The type of a member that may be missing."""
    kinds = [one for one in get_args(kind) if one is not msgspec.UnsetType]
    return kinds[0] if msgspec.UnsetType in get_args(kind) and len(kinds) == 1 else kind


def _sorted_out(kind: type[Open], members: Json) -> Json:
    """``members`` with the unknown ones moved to ``extra``, also in objects within."""
    known: Json = {}
    extra: Json = {}
    inner = _types(kind)
    for name, member in members.items():
        if name == "extra" or name not in inner:
            extra[name] = member
        elif isinstance(member, dict) and isinstance(inner[name], type) and issubclass(inner[name], Open):
            known[name] = _sorted_out(inner[name], member)
        else:
            known[name] = member
    return known | {"extra": extra}
