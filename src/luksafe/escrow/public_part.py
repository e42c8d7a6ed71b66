"""The public part of a packet: what everybody may know, as a JSON file of its own (spec/escrow-packet.md section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

import msgspec

from luksafe.errors import DamagedInput
from luksafe.escrow.contents import VERSION, check_version, format_time, packet_id, parse_time
from luksafe.escrow.json_members import Json, Members, parse_object
from luksafe.escrow.recipients.interface import OPEN_WITH, SCHEMES, RecipientName, Scheme

MAX_PUBLIC_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Shares:
    """How the packet's passphrase was split: any ``threshold`` of ``count`` shares of set ``share_set`` give it."""

    threshold: int
    count: int
    share_set: str

    def to_json(self) -> Json:
        """The member ``shares``."""
        return {"threshold": self.threshold, "count": self.count, "set": self.share_set}

    @classmethod
    def from_json(cls, document: Json) -> Self:
        """Read what ``to_json`` wrote; raises DamagedInput."""
        members = Members(document, "the packet's shares")
        return cls(members.integer("threshold", most=16), members.integer("count", most=16), members.text("set"))


@dataclass(frozen=True, slots=True)
class PublicPart:
    """What everybody may know of a packet. ``sealed_sha256`` is the sealed file's."""

    packet_id: str
    uuid: str
    format: str
    kinds: tuple[str, ...]
    host: str
    when: datetime
    scheme: Scheme
    recipients: tuple[RecipientName, ...]
    sealed_sha256: str
    shares: Shares | None = None

    def to_bytes(self) -> bytes:
        """The JSON file, the same bytes for the same packet."""
        document: Json = {
            "luksafe_packet": VERSION,
            "id": self.packet_id,
            "uuid": self.uuid,
            "format": self.format,
            "kinds": list(self.kinds),
            "host": self.host,
            "when": format_time(self.when),
            "scheme": self.scheme,
            "recipients": [name.to_json() for name in self.recipients],
            **({"shares": self.shares.to_json()} if self.shares else {}),
            "sealed_sha256": self.sealed_sha256,
            "open_with": OPEN_WITH[self.scheme],
        }
        return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a public part; raises DamagedInput, also when it is not spelt exactly as ``to_bytes`` spells it."""
        if len(data) > MAX_PUBLIC_BYTES:
            raise DamagedInput(f"a public part of {len(data)} bytes is none")
        members = Members(parse_object(data, "public part of the packet"), "the public part of the packet")
        check_version(members)
        kinds = members.document.get("kinds")
        if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
            raise DamagedInput("the public part of the packet does not say what is inside")
        part = cls(
            packet_id=packet_id(members.text("id")),
            uuid=members.text("uuid"),
            format=members.text("format"),
            kinds=tuple(kinds),
            host=members.text("host"),
            when=parse_time(members.text("when")),
            scheme=scheme_member(members),
            recipients=recipients_member(members),
            sealed_sha256=members.hexadecimal("sealed_sha256").hex(),
            shares=shares_member(members),
        )
        if part.to_bytes() != data:
            raise DamagedInput("the public part of the packet was altered", hint="the sealed part opens without it")
        return part


def scheme_member(members: Members) -> Scheme:
    """The member ``scheme``; raises DamagedInput for one that is not known."""
    scheme = members.text("scheme")
    for known in SCHEMES:
        if scheme == known:
            return known
    raise DamagedInput(f"the packet is sealed in an unknown way: {scheme[:40]!r}")


def shares_member(members: Members) -> Shares | None:
    """The member ``shares``; None when the packet's key was not split."""
    return Shares.from_json(members.object("shares")) if "shares" in members.document else None


def recipients_member(members: Members) -> tuple[RecipientName, ...]:
    """The member ``recipients``."""
    return tuple(RecipientName.from_json(item) for item in members.objects("recipients"))
