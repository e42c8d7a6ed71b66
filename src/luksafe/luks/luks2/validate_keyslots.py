"""Checks of the keyslots: common members, then the layout of their areas, then what each known type demands."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from luksafe.luks.finding import Finding, Severity
from luksafe.luks.luks2.binary_header import BINARY_BYTES
from luksafe.luks.luks2.checks import (
    UINT64_MAX,
    Invalid,
    member,
    numbered,
    text_member,
    uint32_member,
    uint64_member,
)
from luksafe.luks.model import Json

KDF_MEMBERS = {
    "pbkdf2": {"type", "salt", "hash", "iterations"},
    "argon2i": {"type", "salt", "time", "memory", "cpus"},
    "argon2id": {"type", "salt", "time", "memory", "cpus"},
}


def check_keyslots(document: Json) -> Iterator[Finding]:
    """Members that every keyslot has (specification section 3.2)."""
    for key, keyslot in numbered(member(document, "keyslots", "", dict), "keyslots"):
        text_member(keyslot, "type", f"keyslots.{key}")
        uint32_member(keyslot, "key_size", f"keyslots.{key}")
    yield from ()


def check_areas(document: Json) -> Iterator[Finding]:
    """No area lies in the header, beyond the keyslots area, or in another area."""
    config = document["config"]
    start_of_areas = 2 * (int(config["json_size"]) + BINARY_BYTES)
    end_of_areas = start_of_areas + int(config["keyslots_size"])
    spans: list[tuple[int, int, str]] = []
    for key, keyslot in document["keyslots"].items():
        where = f"keyslots.{key}.area"
        area = member(keyslot, "area", f"keyslots.{key}", dict)
        text_member(area, "type", where)
        offset, size = uint64_member(area, "offset", where), uint64_member(area, "size", where)
        spans.append((offset, size, key))
        if offset < start_of_areas:
            raise Invalid("area-in-header", f"{where}.offset", f"the area begins at {offset}, inside the header copies")
        if size == 0:
            raise Invalid("area-empty", f"{where}.size", "the area has no bytes")
        if offset + size > min(end_of_areas, UINT64_MAX):
            text = f"the area ends at {offset + size}, beyond the keyslots area, which ends at {end_of_areas}"
            raise Invalid("area-overflow", where, text)
    spans.sort()
    for (start, size, key), (next_start, _, next_key) in itertools.pairwise(spans):
        if next_start < start + size:
            raise Invalid("area-overlap", f"keyslots.{next_key}.area", f"the areas of {key} and {next_key} overlap")
    yield from ()


def check_keyslot_contents(document: Json) -> Iterator[Finding]:
    """What the types ``luks2`` and ``reencrypt`` demand; others are left alone (section 3.2.1 and 3.2.2)."""
    reencrypting = 0
    for key, keyslot in document["keyslots"].items():
        if keyslot["type"] == "luks2":
            yield from _check_luks2(document, key, keyslot)
        elif keyslot["type"] == "reencrypt":
            reencrypting += 1
            _check_reencrypt(key, keyslot)
    mandatory = document["config"].get("requirements", {}).get("mandatory", [])
    if "online-reencrypt-v2" in mandatory and not reencrypting:
        raise Invalid("reencrypt-keyslot-missing", "keyslots", "in reencryption, but without a reencrypt keyslot")
    if reencrypting and not any(str(name).startswith("online-reencrypt") for name in mandatory):
        raise Invalid("requirement-missing", "config.requirements", "a reencrypt keyslot without its requirement")
    if reencrypting > 1:
        raise Invalid("reencrypt-keyslot-twice", "keyslots", "more than one reencrypt keyslot")


def _check_luks2(document: Json, key: str, keyslot: Any) -> Iterator[Finding]:
    where = f"keyslots.{key}"
    kdf = member(keyslot, "kdf", where, dict)
    af = member(keyslot, "af", where, dict)
    area = member(keyslot, "area", where, dict)
    yield from _check_kdf(kdf, f"{where}.kdf")
    if text_member(af, "type", f"{where}.af") != "luks1":
        raise Invalid("af-type", f"{where}.af.type", "the only AF type is luks1")
    text_member(af, "hash", f"{where}.af")
    member(af, "stripes", f"{where}.af", int)
    if text_member(area, "type", f"{where}.area") != "raw":
        raise Invalid("area-type", f"{where}.area.type", "a luks2 keyslot has a raw area")
    text_member(area, "encryption", f"{where}.area")
    member(area, "key_size", f"{where}.area", int)
    digests = [name for name, digest in document["digests"].items() if key in digest["keyslots"]]
    if len(digests) != 1:
        raise Invalid("keyslot-digest", where, f"keyslot {key} is assigned to {len(digests)} digests, not to one")


def _check_kdf(kdf: Any, where: str) -> Iterator[Finding]:
    kind = text_member(kdf, "type", where)
    wanted = KDF_MEMBERS.get(kind)
    if wanted is None:
        return
    for name in sorted(wanted - {"type"}):
        if name in ("salt", "hash"):
            text_member(kdf, name, where)
        else:
            member(kdf, name, where, int)
    if extra := sorted(set(kdf) - wanted):
        # cryptsetup drops them in memory and goes on
        text = f"parameters that {kind} does not have: {', '.join(extra)[:80]}"
        yield Finding("kdf-leftover", Severity.WARNING, where, text)


def _check_reencrypt(key: str, keyslot: Any) -> None:
    where = f"keyslots.{key}"
    mode, direction = text_member(keyslot, "mode", where), text_member(keyslot, "direction", where)
    if keyslot["key_size"] != 1:
        raise Invalid("reencrypt-keyslot", f"{where}.key_size", "a reencrypt keyslot has key_size 1")
    if mode not in ("reencrypt", "encrypt", "decrypt"):
        raise Invalid("reencrypt-keyslot", f"{where}.mode", f'unknown mode "{mode[:40]}"')
    if direction not in ("forward", "backward"):
        raise Invalid("reencrypt-keyslot", f"{where}.direction", f'unknown direction "{direction[:40]}"')
    area, place = keyslot["area"], f"{where}.area"
    if area["type"] in ("checksum", "datashift-checksum"):
        text_member(area, "hash", place)
        sector_size = uint32_member(area, "sector_size", place)
        if sector_size < 512 or sector_size & (sector_size - 1):
            raise Invalid("reencrypt-keyslot", f"{place}.sector_size", f"illegal sector size {sector_size}")
    if area["type"].startswith("datashift"):
        shift = uint64_member(area, "shift_size", place)
        if shift == 0 or shift % 512:
            raise Invalid("reencrypt-keyslot", f"{place}.shift_size", f"illegal shift {shift}")
