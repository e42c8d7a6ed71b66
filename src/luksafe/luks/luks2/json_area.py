"""The JSON area: text that begins with ``{`` and is followed by zeros only (specification section 2.2)."""

from __future__ import annotations

import json
import re
from typing import Any

from luksafe.luks.finding import Finding, Severity
from luksafe.luks.model import Json
from luksafe.wall import ParserStopped, walled

_LONE_SURROGATE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Came in as an escape and goes out as one; the rest of the surrogates stand for foreign bytes."""
MAX_DEPTH = 32
"""json-c, which cryptsetup reads with, refuses deeper nesting."""


def _stopped(why: ParserStopped, _area: bytes, where: str = "json") -> tuple[Json | None, list[Finding]]:
    return None, [Finding(why.code, Severity.ERROR, where, str(why))]


@walled("the JSON of a header", _stopped)
def decode(area: bytes, where: str = "json") -> tuple[Json | None, list[Finding]]:
    """The JSON object in an area, or None, and what is wrong with the area. Never raises."""
    if area[:1] != b"{":
        return None, [_error("json-no-object", where, "the JSON area does not begin with '{'", 0)]
    # surrogateescape keeps foreign bytes inside strings; they come back byte for byte on encode()
    text = area.decode("utf-8", "surrogateescape")
    try:
        document, end = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode(text)
    except RecursionError:
        return None, [_error("json-too-deep", where, "the JSON nests too deeply")]
    except ValueError as problem:
        position = _byte_offset(text, getattr(problem, "pos", 0))
        message = getattr(problem, "msg", str(problem))
        return None, [_error("json-syntax", where, f"the JSON does not parse: {message}", position)]
    end_bytes = _byte_offset(text, end)
    findings = []
    if _depth(document) > MAX_DEPTH:
        findings.append(_error("json-too-deep", where, f"the JSON nests deeper than {MAX_DEPTH} levels"))
    if end_bytes >= len(area):
        findings.append(_error("json-no-terminator", where, "no zero byte follows the JSON", end_bytes))
    elif (rest := area[end_bytes:].lstrip(b"\0")) != b"":
        at = len(area) - len(rest)
        findings.append(_error("json-trailing-bytes", where, f"byte {rest[0]:#04x} beyond the end of the JSON", at))
    return (None if findings else document), findings


def encode(document: Json, size_bytes: int) -> bytes:
    """The JSON as an area of ``size_bytes``, compact, zero padded. Raises ValueError when it does not fit."""
    words = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    words = _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", words)
    text = words.encode("utf-8", "surrogateescape")
    if len(text) >= size_bytes:
        raise ValueError(f"the JSON takes {len(text)} bytes, the area has {size_bytes}")
    return text.ljust(size_bytes, b"\0")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _byte_offset(text: str, position: int) -> int:
    return len(text[:position].encode("utf-8", "surrogateescape"))


def _depth(value: Any) -> int:
    """Nesting depth, without recursion: the document comes from outside."""
    deepest, pending = 0, [(value, 1)]
    while pending:
        item, level = pending.pop()
        deepest = max(deepest, level)
        children = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        pending.extend((child, level + 1) for child in children if isinstance(child, dict | list))
    return deepest


def _error(code: str, where: str, text: str, offset: int | None = None) -> Finding:
    return Finding(code, Severity.ERROR, where, text, offset)
