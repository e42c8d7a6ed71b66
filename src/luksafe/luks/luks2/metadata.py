"""A valid JSON document becomes objects (specification section 3). Only validated documents come here."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from luksafe.luks.luks2.binary_header import BinaryHeader
from luksafe.luks.model import Af, Area, Config, Digest, Header, Json, Kdf, Keyslot, Segment, Token


def build_header(binary: BinaryHeader, document: Json, offset: int = 0) -> Header:
    """The header that a binary header and its validated document describe."""
    return Header(
        format="luks2",
        uuid=binary.uuid,
        label=binary.label,
        subsystem=binary.subsystem,
        seqid=binary.seqid,
        header_size=binary.hdr_size,
        checksum_algorithm=binary.checksum_algorithm,
        keyslots={int(k): _keyslot(int(k), v) for k, v in _by_number(document["keyslots"])},
        segments={int(k): _segment(int(k), v) for k, v in _by_number(document["segments"])},
        digests={int(k): read_digest(int(k), v) for k, v in _by_number(document["digests"])},
        tokens={int(k): Token(int(k), v["type"], _ids(v["keyslots"]), v) for k, v in _by_number(document["tokens"])},
        config=_config(document["config"]),
        document=document,
        offset=offset,
    )


def _by_number(section: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted(section.items(), key=lambda item: int(item[0]))


def _ids(names: list[str]) -> tuple[int, ...]:
    return tuple(sorted({int(name) for name in names}))


def _number(raw: Json, name: str, default: int = 0) -> int:
    value = raw.get(name, default)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _text(raw: Json, name: str) -> str:
    value = raw.get(name, "")
    return value if isinstance(value, str) else ""


def _base64(raw: Json, name: str) -> bytes:
    """Decoded, or empty where it is no Base64: such a keyslot or digest then simply fits no key."""
    try:
        return base64.b64decode(_text(raw, name), validate=False)
    except (binascii.Error, ValueError):
        return b""


STRIPES = 4000


def _keyslot(number: int, raw: Json) -> Keyslot:
    kdf, af, area = raw.get("kdf"), raw.get("af"), raw.get("area")
    return Keyslot(
        id=number,
        type=raw["type"],
        key_size=raw["key_size"],
        priority=_number(raw, "priority", 1),
        kdf=_kdf(kdf) if isinstance(kdf, dict) else None,
        # cryptsetup uses this number of stripes whatever the JSON says
        af=Af(_text(af, "type"), STRIPES, _text(af, "hash"), af) if isinstance(af, dict) else None,
        area=_area(area) if isinstance(area, dict) else None,
        raw=raw,
    )


def _kdf(raw: Json) -> Kdf:
    return Kdf(
        type=_text(raw, "type"),
        salt=_base64(raw, "salt"),
        hash=_text(raw, "hash") or None,
        iterations=_number(raw, "iterations") or None,
        time=_number(raw, "time") or None,
        memory_kib=_number(raw, "memory") or None,
        cpus=_number(raw, "cpus") or None,
        raw=raw,
    )


def _area(raw: Json) -> Area:
    return Area(
        type=_text(raw, "type"),
        offset=int(raw["offset"]),
        size=int(raw["size"]),
        encryption=_text(raw, "encryption"),
        key_size=_number(raw, "key_size"),
        raw=raw,
    )


def _segment(number: int, raw: Json) -> Segment:
    is_crypt = raw["type"] in ("crypt", "hw-opal-crypt")
    return Segment(
        id=number,
        type=raw["type"],
        offset=int(raw["offset"]),
        size=None if raw["size"] == "dynamic" else int(raw["size"]),
        iv_tweak=int(raw["iv_tweak"]) if is_crypt else 0,
        encryption=raw["encryption"] if is_crypt else "",
        sector_size=raw["sector_size"] if is_crypt else 512,
        integrity=raw.get("integrity") if is_crypt else None,
        flags=tuple(raw.get("flags", ())),
        raw=raw,
    )


def read_digest(number: int, raw: Json) -> Digest:
    """The digest that its JSON object describes; one with nonsense in it proves no key."""
    return Digest(
        id=number,
        type=raw["type"],
        keyslots=_ids(raw["keyslots"]),
        segments=_ids(raw["segments"]),
        hash=_text(raw, "hash"),
        iterations=_number(raw, "iterations"),
        salt=_base64(raw, "salt"),
        digest=_base64(raw, "digest"),
        raw=raw,
    )


def _config(raw: Json) -> Config:
    requirements = raw.get("requirements", {})
    return Config(
        json_size=int(raw["json_size"]),
        keyslots_size=int(raw["keyslots_size"]),
        flags=tuple(raw.get("flags", ())),
        requirements=tuple(requirements.get("mandatory", ())),
        raw=raw,
    )
