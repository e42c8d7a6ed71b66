"""The ``show`` object: every parameter of a header as JSON (spec/json-output.md)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from luksafe.luks.finding import Finding
from luksafe.luks.inspection import Inspection
from luksafe.luks.luks1.binary_header import KEYSLOT_COUNT
from luksafe.luks.luks2.copies import HeaderCopy
from luksafe.luks.model import Digest, Header, Json, Keyslot, Segment, Token
from luksafe.luks.tokens import explain_token


def describe_inspection(inspection: Inspection) -> Json:
    """The whole object; without a usable header only ``format``, ``copies`` and ``findings``."""
    base: Json = {
        "format": inspection.format,
        "offset": inspection.offset,
        "copies": [describe_copy(copy) for copy in inspection.copies],
        "findings": [describe_finding(f) for f in inspection.all_findings],
        "refused": inspection.is_refused,
    }
    return base if inspection.header is None else {**describe_header(inspection.header), **base}


def describe_header(header: Header) -> Json:
    """The parameters of a header in force."""
    return {
        "format": header.format,
        "uuid": header.uuid,
        "label": header.label,
        "subsystem": header.subsystem,
        "seqid": header.seqid,
        "cipher": header.encryption,
        "key_bits": header.volume_key_size * 8,
        "sector_size": header.sector_size,
        "data_offset": header.data_offset,
        "header_size": header.header_size,
        "keyslots_size": header.config.keyslots_size,
        "checksum_algorithm": header.checksum_algorithm,
        "segments": [_segment(s) for _, s in sorted(header.segments.items())],
        "keyslots": _keyslots(header),
        "digests": [_digest(d) for d in header.digests.values()],
        "tokens": [_token(t) for t in header.tokens.values()],
        "requirements": list(header.config.requirements),
        "flags": list(header.config.flags),
        "in_reencryption": header.is_in_reencryption,
    }


def describe_copy(copy: HeaderCopy) -> Json:
    """One header copy: where, whether it is good, what its binary header states."""
    return {
        "copy": copy.copy,
        "offset": copy.offset,
        "valid": copy.state == "ok",
        "state": copy.state,
        "seqid": copy.seqid,
        "uuid": copy.uuid,
        "why": copy.why,
    }


def describe_finding(finding: Finding) -> Json:
    """A finding as JSON."""
    return {**asdict(finding), "severity": finding.severity.value}


def _keyslots(header: Header) -> list[Json]:
    found = [_keyslot(header, keyslot) for keyslot in header.keyslots.values()]
    if header.format == "luks1":
        empty = (n for n in range(KEYSLOT_COUNT) if n not in header.keyslots)
        found += [{"slot": number, "state": "inactive"} for number in empty]
    return sorted(found, key=lambda k: int(k["slot"]))


def _keyslot(header: Header, keyslot: Keyslot) -> Json:
    digest = header.digest_of_keyslot(keyslot.id)
    described: Json = {
        "slot": keyslot.id,
        "state": _state(keyslot, digest),
        "type": keyslot.type,
        "priority": {0: "ignore", 1: "normal", 2: "prefer"}.get(keyslot.priority, str(keyslot.priority)),
        "key_bits": keyslot.key_size * 8,
        "digest": digest.id if digest else None,
        "tokens": [t.id for t in header.tokens.values() if keyslot.id in t.keyslots],
    }
    if keyslot.kdf:
        described["kdf"] = _kdf(keyslot)
    if keyslot.af:
        described["af"] = {"type": keyslot.af.type, "stripes": keyslot.af.stripes, "hash": keyslot.af.hash}
    if keyslot.area:
        described["area"] = {
            "type": keyslot.area.type,
            "offset": keyslot.area.offset,
            "size": keyslot.area.size,
            "encryption": keyslot.area.encryption,
            "key_bits": keyslot.area.key_size * 8,
        }
    return described


def _state(keyslot: Keyslot, digest: Digest | None) -> str:
    if keyslot.type != "luks2":
        return keyslot.type if keyslot.type == "reencrypt" else "unknown"
    return "active" if digest is not None and digest.segments else "unbound"


def _kdf(keyslot: Keyslot) -> dict[str, Any]:
    kdf = keyslot.kdf
    if kdf is None:
        return {}
    salt = {"type": kdf.type, "salt": kdf.salt.hex()}
    if kdf.type == "pbkdf2":
        return {**salt, "hash": kdf.hash, "iterations": kdf.iterations}
    return {**salt, "time": kdf.time, "memory_kib": kdf.memory_kib, "cpus": kdf.cpus}


def _segment(segment: Segment) -> Json:
    # a linear segment is not encrypted: it has no encryption sectors
    sectors = {"sector_size": segment.sector_size} if segment.type == "crypt" else {}
    return {
        "segment": segment.id,
        "type": segment.type,
        "offset": segment.offset,
        "size": "dynamic" if segment.size is None else segment.size,
        "iv_tweak": segment.iv_tweak,
        "encryption": segment.encryption,
        **sectors,
        "integrity": segment.integrity,
        "flags": list(segment.flags),
    }


def _digest(digest: Digest) -> Json:
    return {
        "digest": digest.id,
        "type": digest.type,
        "keyslots": list(digest.keyslots),
        "segments": list(digest.segments),
        "hash": digest.hash,
        "iterations": digest.iterations,
        "salt": digest.salt.hex(),
        "value": digest.digest.hex(),
    }


def _token(token: Token) -> Json:
    return {
        "token": token.id,
        "type": token.type,
        "keyslots": list(token.keyslots),
        "text": explain_token(token.type),
        "content": {name: value for name, value in token.raw.items() if name not in ("type", "keyslots")},
    }
