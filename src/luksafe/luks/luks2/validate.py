"""Whether a JSON document is a LUKS2 header: small checks in a fixed order, each giving findings with a place.

What they accept is what cryptsetup accepts: stricter would lock people out. A later check relies on the earlier ones,
so the first failing check ends the run, except for checks of single objects, which all report.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from luksafe.luks.finding import Finding, Severity
from luksafe.luks.luks2.binary_header import BINARY_BYTES, HEADER_SIZES
from luksafe.luks.luks2.checks import (
    Invalid,
    member,
    numbered,
    references,
    strings,
    text_member,
    uint64_member,
)
from luksafe.luks.luks2.validate_keyslots import check_areas, check_keyslot_contents, check_keyslots
from luksafe.luks.luks2.validate_segments import check_segments, smallest_offset
from luksafe.luks.model import Json
from luksafe.wall import ParserStopped, walled

MAX_KEYSLOTS_BYTES = 128 << 20
_REENCRYPT = re.compile(r"online-reencrypt(-v[0-9]+)?")

Check = Callable[[Json], Iterator[Finding]]


def _stopped(why: ParserStopped, *_: object) -> list[Finding]:
    return [Finding(why.code, Severity.ERROR, "json", str(why))]


@walled("the objects of a header", _stopped)
def validate(document: Json, json_size_bytes: int) -> list[Finding]:
    """Everything wrong with a document whose JSON area has ``json_size_bytes``; no error in it means valid."""
    findings: list[Finding] = []
    for check in _CHECKS:
        try:
            findings += check(document)
        except Invalid as invalid:
            findings.append(invalid.finding)
        if any(finding.severity is Severity.ERROR for finding in findings):
            return findings
    stated = uint64_member(document["config"], "json_size", "config")
    if stated != json_size_bytes:
        text = f"the JSON area has {json_size_bytes} bytes, config says {stated}"
        findings.append(Finding("json-size-mismatch", Severity.ERROR, "config.json_size", text))
    return findings


def reencryption_requirements(document: Json) -> list[str]:
    """The mandatory requirements that mean "in reencryption"."""
    requirements = document.get("config", {}).get("requirements", {})
    mandatory = requirements.get("mandatory", []) if isinstance(requirements, dict) else []
    return [name for name in mandatory if isinstance(name, str) and _REENCRYPT.fullmatch(name)]


def _check_requirements(document: Json) -> Iterator[Finding]:
    config = member(document, "config", "", dict)
    if "requirements" in config:
        requirements = member(config, "requirements", "config", dict)
        strings(requirements, "mandatory", "config.requirements")
    if len(reencryption_requirements(document)) > 1:
        raise Invalid("requirement-twice", "config.requirements", "more than one reencryption requirement")
    yield from ()


def _check_tokens(document: Json) -> Iterator[Finding]:
    tokens = member(document, "tokens", "", dict)
    keyslots = member(document, "keyslots", "", dict)
    for key, token in numbered(tokens, "tokens"):
        text_member(token, "type", f"tokens.{key}")
        references(token, "keyslots", f"tokens.{key}", keyslots)
    yield from ()


def _check_digests(document: Json) -> Iterator[Finding]:
    digests = member(document, "digests", "", dict)
    keyslots = member(document, "keyslots", "", dict)
    segments = member(document, "segments", "", dict)
    for key, digest in numbered(digests, "digests"):
        text_member(digest, "type", f"digests.{key}")
        references(digest, "keyslots", f"digests.{key}", keyslots)
        references(digest, "segments", f"digests.{key}", segments)
    yield from ()


def _check_config(document: Json) -> Iterator[Finding]:
    config: dict[str, Any] = document["config"]
    metadata_bytes = uint64_member(config, "json_size", "config") + BINARY_BYTES
    keyslots_bytes = uint64_member(config, "keyslots_size", "config")
    if metadata_bytes not in HEADER_SIZES:
        raise Invalid("header-size", "config.json_size", f"{metadata_bytes} bytes is no LUKS2 header size")
    if keyslots_bytes % 4096 or keyslots_bytes > MAX_KEYSLOTS_BYTES:
        raise Invalid("keyslots-size", "config.keyslots_size", f"{keyslots_bytes} bytes is no legal keyslots area size")
    data_offset = smallest_offset(document)
    if data_offset and data_offset < keyslots_bytes + 2 * metadata_bytes:
        text = f"header and keyslots take {keyslots_bytes + 2 * metadata_bytes} bytes, the data begin at {data_offset}"
        raise Invalid("keyslots-size", "config.keyslots_size", text)
    strings(config, "flags", "config")
    yield from ()


_CHECKS: tuple[Check, ...] = (
    _check_requirements,
    _check_tokens,
    _check_digests,
    check_segments,
    check_keyslots,
    _check_config,
    check_areas,
    check_keyslot_contents,
)
