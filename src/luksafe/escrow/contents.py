"""What a packet holds once it is open, and the JSON that a person reads after ``age -d`` (spec/escrow-packet.md)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Self

from luksafe.errors import DamagedInput, Unsupported, UsageError
from luksafe.escrow.canary import Canary
from luksafe.escrow.json_members import Json, Members
from luksafe.escrow.parameters import VolumeParameters
from luksafe.secret import SecretBytes

VERSION = 1
MAX_SECRETS = 64
OWN_MEMBERS = ("luksafe_packet", "id", "volume", "secrets", "canary", "host", "device", "made", "header_gz")
ENVELOPE_MEMBERS = ("scheme", "recipients", "shares", "envelope")  # packet.seal adds them

SecretKind = Literal["volume-key", "passphrase"]


@dataclass(frozen=True, slots=True)
class Secret:
    """A volume key, proven by digest number ``of``; or a passphrase, which opens keyslot ``of`` (None: not known)."""

    kind: SecretKind
    value: SecretBytes
    of: int | None = None

    def to_json(self) -> Json:
        """One entry of ``secrets``; a printable passphrase stands there as text as well."""
        name = "digest" if self.kind == "volume-key" else "keyslot"
        document: Json = {"kind": self.kind, "hex": self.value.view.hex()}
        text = _printable(self.value) if self.kind == "passphrase" else None
        return document | ({} if text is None else {"text": text}) | ({} if self.of is None else {name: self.of})

    @classmethod
    def from_json(cls, document: Json) -> Self:
        """Read one entry of ``secrets``; raises DamagedInput."""
        members = Members(document, "a secret in the packet")
        kind = members.text("kind")
        if kind not in ("volume-key", "passphrase"):
            raise DamagedInput(f"the packet holds a secret of unknown kind {kind!r}")
        name = "digest" if kind == "volume-key" else "keyslot"
        secret = cls(
            kind="volume-key" if kind == "volume-key" else "passphrase",
            value=SecretBytes(members.hexadecimal("hex")),
            of=members.integer(name, most=1023) if name in document else None,
        )
        if "text" in document and members.text("text").encode("utf-8", "surrogatepass") != secret.value.reveal():
            raise DamagedInput("the packet gives a passphrase twice, and differently")
        return secret


@dataclass(frozen=True, slots=True)
class Made:
    """When (UTC, whole seconds), by whom, with what tool and why a packet was made."""

    when: datetime
    by: str = ""
    tool: str = ""
    reason: str = ""

    def to_json(self) -> Json:
        """The member ``made``."""
        words = {"by": self.by, "tool": self.tool, "reason": self.reason}
        return {"when": format_time(self.when)} | {name: word for name, word in words.items() if word}

    @classmethod
    def from_json(cls, document: Json) -> Self:
        """Read what ``to_json`` wrote; raises DamagedInput."""
        members = Members(document, "the packet's note of who made it")
        parts = (members.text("by", ""), members.text("tool", ""), members.text("reason", ""))
        return cls(parse_time(members.text("when")), *parts)


@dataclass(frozen=True, slots=True)
class Contents:
    """The sealed part of a packet, open. ``header_gz`` is a gzip of a compact header image; ``device`` holds facts.

    ``unknown`` keeps members that a newer luksafe added, so that sealing anew loses nothing.
    """

    packet_id: str
    volume: VolumeParameters
    secrets: tuple[Secret, ...]
    made: Made
    host: str = ""
    device: Mapping[str, str | int] = field(default_factory=dict)
    canary: Canary | None = None
    header_gz: bytes | None = field(default=None, repr=False)
    unknown: Json = field(default_factory=dict, repr=False)

    def secret(self, kind: SecretKind) -> Secret | None:
        """The first secret of this kind."""
        return next((s for s in self.secrets if s.kind == kind), None)

    @property
    def kinds(self) -> list[str]:
        """The kinds of secrets inside, each once."""
        return sorted({s.kind for s in self.secrets})

    def to_json(self) -> Json:
        """The JSON object that is sealed. It holds the secrets."""
        document: Json = {
            "luksafe_packet": VERSION,
            "id": self.packet_id,
            "host": clean(self.host),
            "secrets": [s.to_json() for s in self.secrets],
            "volume": clean(self.volume.to_json()),
            "device": clean(dict(self.device)),
            "made": clean(self.made.to_json()),
        }
        if self.canary is not None:
            document["canary"] = self.canary.to_json()
        if self.header_gz is not None:
            document["header_gz"] = base64.b64encode(self.header_gz).decode()
        return document | self.unknown

    @classmethod
    def from_json(cls, document: Json) -> Self:
        """Read what ``to_json`` wrote; raises DamagedInput, or Unsupported for a version of the future."""
        members = Members(document, "the packet")
        check_version(members)
        secrets = tuple(Secret.from_json(item) for item in members.objects("secrets", most=MAX_SECRETS))
        device = members.object("device")
        if not secrets or not all(isinstance(v, str | int) for v in device.values()):
            raise DamagedInput("the packet holds no secret, or its facts about the device are not plain")
        return cls(
            packet_id=packet_id(members.text("id")),
            volume=VolumeParameters.from_json(document.get("volume")),
            secrets=secrets,
            made=Made.from_json(members.object("made")),
            host=members.text("host", ""),
            device=device,
            canary=Canary.from_json(members.object("canary")) if "canary" in document else None,
            header_gz=members.base64("header_gz") if "header_gz" in document else None,
            unknown={k: v for k, v in document.items() if k not in OWN_MEMBERS + ENVELOPE_MEMBERS},
        )


def check_version(members: Members) -> None:
    """Raise Unsupported for a packet that a newer luksafe made."""
    version = members.integer("luksafe_packet")
    if version != VERSION:
        raise Unsupported(
            f"the packet has format {version}; this luksafe knows format {VERSION}",
            hint="use a newer luksafe; or open it with age or openssl and read the JSON by eye",
        )


def packet_id(text: str) -> str:
    """The id itself when it is 16 lower-case hexadecimal digits; else raises DamagedInput."""
    if len(text) != 16 or not set(text) <= set("0123456789abcdef"):
        raise DamagedInput(f"{text[:40]!r} is no packet id (16 hexadecimal digits)")
    return text


def format_time(when: datetime) -> str:
    """Such as 2026-11-02T10:00:00Z; a time without a zone is refused."""
    if when.tzinfo is None:
        raise UsageError("a packet's time needs a time zone")
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """The time that ``format_time`` wrote; raises DamagedInput."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise DamagedInput(f"{text[:40]!r} is no time such as 2026-11-02T10:00:00Z") from None


def clean(value: Any) -> Any:
    """The value with lone surrogates (names that were no UTF-8) replaced, so that it can be written as UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {clean(k): clean(v) for k, v in value.items()}
    return [clean(v) for v in value] if isinstance(value, list) else value


def _printable(secret: SecretBytes) -> str | None:
    try:
        text = secret.reveal().decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None
