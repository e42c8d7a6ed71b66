"""An escrow packet: a sealed part that stock tools open, and a public part that everybody may read.

The sealed part is one file (``.age`` or ``.p7m``) and enough by itself. The public part is a JSON file beside it, and
follows from the sealed part alone, byte for byte: so opening proves it (spec/escrow-packet.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from luksafe.errors import DamagedInput, KeyRejected, LuksafeError, Unsupported, UsageError
from luksafe.escrow.contents import Contents, clean
from luksafe.escrow.json_members import Json, Members, parse_object
from luksafe.escrow.public_part import PublicPart, Shares, recipients_member, scheme_member, shares_member
from luksafe.escrow.recipients.files import make_envelope
from luksafe.escrow.recipients.interface import SUFFIX, Identity, Recipient, Scheme, Unsealed, scheme_of
from luksafe.wall import walled

MAX_PACKET_BYTES = 24 << 20


@dataclass(frozen=True, slots=True)
class Packet:
    """The sealed file, and its public part where that is at hand."""

    sealed: bytes
    public: PublicPart | None = None

    @property
    def scheme(self) -> Scheme:
        """The stock format of the sealed file."""
        return scheme_of(self.sealed)

    @property
    def suffix(self) -> str:
        """How the sealed file's name ends; the public part's ends in ``.json``."""
        return SUFFIX[self.scheme]


@dataclass(frozen=True, slots=True)
class OpenPacket:
    """An opened packet; ``public`` is the public part that follows from what was inside."""

    contents: Contents
    public: PublicPart


def seal(
    contents: Contents,
    recipients: Sequence[Recipient],
    random_bytes: Callable[[int], bytes],
    shares: Shares | None = None,
) -> Packet:
    """Seal ``contents`` to recipients of one scheme, any one of whom opens it. ``random_bytes`` gives CMS its key.

    Raises UsageError when no stock format holds the recipients together, Unsupported when a plugin fails.
    """
    if not recipients:
        raise UsageError("a packet has to be sealed to somebody", hint="name a recipient")
    envelope = make_envelope(recipients, random_bytes)
    document = contents.to_json()
    header_gz = document.pop("header_gz", None)
    document |= {
        "scheme": recipients[0].scheme,
        "recipients": clean([recipient.name.to_json() for recipient in recipients]),
        **({"shares": shares.to_json()} if shares else {}),
        **({"envelope": envelope.binding} if envelope.binding else {}),
    }
    document |= {} if header_gz is None else {"header_gz": header_gz}  # last, since it is long
    sealed = envelope.seal(_lines(document))
    return Packet(sealed, _public_part(contents, document, sealed))


def _lines(document: Json) -> bytes:
    """The JSON object with one member on a line: short, and still read by eye."""
    lines = [msgspec.json.encode(name) + b": " + msgspec.json.encode(value) for name, value in document.items()]
    return b"{" + b",\n ".join(lines) + b"}\n"


@walled("an escrow packet")
def read_packet(sealed: bytes, public: bytes | None = None) -> Packet:
    """A packet from its files. Raises DamagedInput when the two do not belong together or are damaged."""
    if len(sealed) > MAX_PACKET_BYTES:
        raise DamagedInput(f"a file of {len(sealed)} bytes is no escrow packet")
    scheme_of(sealed)
    if public is None:
        return Packet(sealed)
    part = PublicPart.from_bytes(public)
    if hashlib.sha256(sealed).hexdigest() != part.sealed_sha256:
        raise DamagedInput(
            "the sealed part is not the one that the public part speaks of, or one of them is damaged",
            hint="take both files from another copy; or open the sealed part alone",
        )
    return Packet(sealed, part)


@walled("an opened escrow packet")
def open_packet(packet: Packet, identities: Sequence[Identity]) -> OpenPacket:
    """Open with the first identity that fits.

    Raises KeyRejected when none does, DamagedInput where sealed part, envelope and public part disagree, Unsupported.
    """
    fitting = [identity for identity in identities if identity.scheme == packet.scheme]
    problem: LuksafeError | None = None
    for identity in fitting:
        try:
            return _opened(packet, identity.unseal(packet.sealed))
        except KeyRejected as error:
            problem = problem or error
        except Unsupported as error:
            problem = error
    raise problem or _nobody_fits(packet)


def _opened(packet: Packet, unsealed: Unsealed) -> OpenPacket:
    with unsealed.plaintext as plaintext:
        document = parse_object(plaintext.reveal(), "opened packet")
    contents = Contents.from_json(document)
    if Members(document, "the packet").text("envelope", "") != unsealed.binding:
        raise DamagedInput("the packet's envelope was altered", hint="take another copy of the packet")
    public = _public_part(contents, document, packet.sealed)
    if packet.public not in (None, public):
        raise DamagedInput(
            "the public part says other things than the sealed part",
            hint="believe the sealed part: open it without the public part",
        )
    return OpenPacket(contents, public)


def _public_part(contents: Contents, document: Json, sealed: bytes) -> PublicPart:
    members = Members(document, "the packet")
    return PublicPart(
        packet_id=contents.packet_id,
        uuid=clean(contents.volume.uuid),
        format=contents.volume.format,
        kinds=tuple(contents.kinds),
        host=clean(contents.host),
        when=contents.made.when.replace(microsecond=0),
        scheme=scheme_member(members),
        recipients=recipients_member(members),
        sealed_sha256=hashlib.sha256(sealed).hexdigest(),
        shares=shares_member(members),
    )


def _nobody_fits(packet: Packet) -> KeyRejected:
    needed = {
        "age": "an age identity file or an ssh private key",
        "passphrase": "the packet's passphrase, or enough of its shares",
        "cms": "the private key of a certificate (PEM or PKCS#12)",
    }[packet.scheme]
    names = ", ".join(name.name for name in packet.public.recipients) if packet.public else ""
    hint = f"give {needed}" + (f"; it is sealed to {names}" if names else "")
    return KeyRejected("no key that could open this packet was given", hint=hint)
