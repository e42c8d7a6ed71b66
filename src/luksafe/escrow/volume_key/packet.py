"""Packets of volume_key, whole: the magic, the format byte, and what the format does with the items inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from luksafe.errors import DamagedInput, KeyRejected
from luksafe.escrow.volume_key import openpgp, wrapping
from luksafe.escrow.volume_key.model import PacketFormat, VolumeKeyPacket, check_key
from luksafe.escrow.volume_key.ttlv import MAX_BYTES, Item, parse_item
from luksafe.secret import SecretBytes
from luksafe.wall import walled

if TYPE_CHECKING:
    from luksafe.escrow.recipients.x509 import X509Identity, X509Recipient

_T = TypeVar("_T")

MAGIC = b"\0volume_key"
NEEDS = {
    PacketFormat.ASYMMETRIC: "the private key of the certificate it is sealed to (PEM or PKCS#12)",
    PacketFormat.ASYMMETRIC_WRAP_SECRET_ONLY: "the private key of the certificate it is sealed to (PEM or PKCS#12)",
    PacketFormat.PASSPHRASE: "the packet's passphrase",
    PacketFormat.SYMMETRIC_WRAP_SECRET_ONLY: "the raw key that the secret is wrapped with",
}


@dataclass(frozen=True, slots=True)
class Keys:
    """What may open a packet; give what is at hand."""

    passphrase: SecretBytes | None = None
    identity: X509Identity | None = None
    symmetric_key: SecretBytes | None = None


def is_volume_key_packet(data: bytes) -> bool:
    """Whether a file begins as packets of volume_key do."""
    return data.startswith(MAGIC)


def packet_format(data: bytes) -> PacketFormat:
    """How a packet is sealed; raises DamagedInput for no packet, or one of an unknown format."""
    if not is_volume_key_packet(data) or len(data) > MAX_BYTES:
        raise DamagedInput("this is no volume_key packet")
    known = [form for form in PacketFormat if data[len(MAGIC) : len(MAGIC) + 1] == bytes([form])]
    if not known:
        raise DamagedInput("the volume_key packet has an unknown format")
    return known[0]


@walled("the metadata of a packet of volume_key")
def read_metadata(data: bytes) -> VolumeKeyPacket | None:
    """What stands outside the encryption, without the secret; None when all is sealed. Raises DamagedInput."""
    if packet_format(data) in (PacketFormat.ASYMMETRIC, PacketFormat.PASSPHRASE):
        return None
    return replace(VolumeKeyPacket.from_item(parse_item(_body(data))), secret=None)


@walled("a packet of volume_key")
def open_packet(data: bytes, keys: Keys) -> VolumeKeyPacket:
    """The packet with its secret. Raises KeyRejected (also: code ``key-needed``), DamagedInput, Unsupported."""
    form, body = packet_format(data), _body(data)
    match form:
        case PacketFormat.CLEARTEXT:
            return _whole(parse_item(body))
        case PacketFormat.ASYMMETRIC:
            unsealed = _needed(form, keys.identity).unseal(body)
            return _whole(parse_item(unsealed.plaintext.reveal()))
        case PacketFormat.PASSPHRASE:
            return _whole(parse_item(openpgp.decrypt(body, _needed(form, keys.passphrase)).reveal()))
        case PacketFormat.ASYMMETRIC_WRAP_SECRET_ONLY:
            item = parse_item(body)
            return _unwrapped(item, wrapping.unwrap_with_private_key(item, _needed(form, keys.identity).rsa_key()))
        case PacketFormat.SYMMETRIC_WRAP_SECRET_ONLY:
            item = parse_item(body)
            return _unwrapped(item, wrapping.unwrap_with_symmetric_key(item, _needed(form, keys.symmetric_key)))


def write_cleartext(packet: VolumeKeyPacket) -> bytes:
    """A packet that everybody can open."""
    return _framed(PacketFormat.CLEARTEXT, packet.to_item().serialize())


def write_with_passphrase(
    packet: VolumeKeyPacket, passphrase: SecretBytes, random_bytes: Callable[[int], bytes]
) -> bytes:
    """A packet that ``volume_key`` opens with this passphrase."""
    body = openpgp.encrypt(packet.to_item().serialize(), passphrase, random_bytes)
    return _framed(PacketFormat.PASSPHRASE, body)


def write_for_certificate(packet: VolumeKeyPacket, recipient: X509Recipient) -> bytes:
    """A packet wholly sealed to an RSA certificate, as ``--output-format asymmetric`` makes it."""
    from luksafe.escrow.recipients.x509 import seal_enveloped

    return _framed(PacketFormat.ASYMMETRIC, seal_enveloped(packet.to_item().serialize(), recipient))


def write_secret_wrapped(packet: VolumeKeyPacket, recipient: X509Recipient) -> bytes:
    """A packet with only its secret sealed to an RSA certificate, as volume_key makes it by default."""
    issuer, serial = recipient.issuer_and_serial()
    item = wrapping.wrap_for_certificate(packet.to_item(), recipient.certificate, issuer, serial)
    return _framed(PacketFormat.ASYMMETRIC_WRAP_SECRET_ONLY, item.serialize())


def _framed(form: PacketFormat, body: bytes) -> bytes:
    return MAGIC + bytes([form]) + body


def _body(data: bytes) -> bytes:
    return data[len(MAGIC) + 1 :]


def _whole(item: Item) -> VolumeKeyPacket:
    packet = VolumeKeyPacket.from_item(item)
    if packet.secret is None:
        raise DamagedInput("the volume_key packet wraps its secret, but its format says that it does not")
    return packet


def _unwrapped(item: Item, secret: SecretBytes) -> VolumeKeyPacket:
    packet = VolumeKeyPacket.from_item(item)
    try:
        checked = check_key(secret, packet.key_bits) if packet.kind == "volume-key" else secret
    except DamagedInput:
        raise KeyRejected("the key given makes no fitting secret of the volume_key packet") from None
    return replace(packet, secret=checked)


def _needed(form: PacketFormat, key: _T | None) -> _T:
    if key is None:
        raise KeyRejected(f"the volume_key packet needs {NEEDS[form]}", code="key-needed", hint=f"give {NEEDS[form]}")
    return key
