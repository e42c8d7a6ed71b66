"""What a volume_key packet says, and the items it is written in. The names are those of volume_key's own output."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, Self

from luksafe.errors import DamagedInput, UsageError
from luksafe.escrow.volume_key.ttlv import Item
from luksafe.secret import SecretBytes

# Tags of KMIP 0.98; the packet's own tag is volume_key's
PACKET = 0x420135F4
APPLICATION_ID = 0x42000002
APPLICATION_NAME_SPACE = 0x42000003
ATTRIBUTE = 0x42000008
ATTRIBUTE_NAME = 0x4200000A
ATTRIBUTE_VALUE = 0x4200000B
BLOCK_CIPHER_MODE = 0x42000011
CRYPTOGRAPHIC_ALGORITHM = 0x42000025
CRYPTOGRAPHIC_LENGTH = 0x42000026
CRYPTOGRAPHIC_PARAMETERS = 0x42000027
ENCRYPTION_KEY_INFORMATION = 0x42000032
HASHING_ALGORITHM = 0x42000034
IV = 0x42000039
KEY = 0x4200003B
KEY_BLOCK = 0x4200003C
KEY_MATERIAL = 0x4200003D
KEY_VALUE = 0x4200003F
KEY_VALUE_TYPE = 0x42000040
KEY_WRAPPING_DATA = 0x42000041
OBJECT_TYPE = 0x42000052
PADDING_METHOD = 0x4200005A
PROTOCOL_VERSION = 0x42000065
PROTOCOL_VERSION_MAJOR = 0x42000066
PROTOCOL_VERSION_MINOR = 0x42000067
SECRET_DATA = 0x42000080
SECRET_DATA_TYPE = 0x42000081
SYMMETRIC_KEY = 0x4200008A
UNIQUE_IDENTIFIER = 0x4200008F
WRAPPING_METHOD = 0x4200009A

OBJECT_SYMMETRIC_KEY = 2
OBJECT_SECRET_DATA = 8
KEY_OPAQUE = 2
KEY_TRANSPARENT_SYMMETRIC = 5
ALGORITHM_AES = 3
MODE_CBC = 1
MODE_ECB = 2
HASHES = {"sha1": 4, "sha256": 5, "sha512": 7}

APPLICATION_SPECIFIC = "Application Specific Identification"
LUKS_CIPHER = ("x-redhat.com:volume_key LUKS Cipher Name", "LUKS Cipher Name")
LUKS_MODE = ("x-redhat.com:volume_key LUKS Cipher Mode", "LUKS Cipher Mode")
VOLUME_FORMAT = "crypt_LUKS"


class PacketFormat(IntEnum):
    """The byte behind the magic."""

    CLEARTEXT = 0
    ASYMMETRIC = 1
    PASSPHRASE = 2
    ASYMMETRIC_WRAP_SECRET_ONLY = 3
    SYMMETRIC_WRAP_SECRET_ONLY = 4


@dataclass(frozen=True, slots=True)
class VolumeKeyPacket:
    """One packet, open: either the data encryption key with its cipher, or a passphrase with its keyslot.

    ``secret`` is None when only what stands outside the encryption was read.
    """

    kind: Literal["volume-key", "passphrase"]
    secret: SecretBytes | None
    hostname: str
    volume_uuid: str = ""
    volume_label: str = ""
    volume_path: str = ""
    volume_format: str = VOLUME_FORMAT
    cipher_name: str = ""
    cipher_mode: str = ""
    key_bits: int = 0
    passphrase_slot: int | None = None

    @property
    def cipher(self) -> str:
        """The cipher in dm-crypt's spelling; empty for a passphrase."""
        return f"{self.cipher_name}-{self.cipher_mode}" if self.cipher_name else ""

    @classmethod
    def from_item(cls, packet: Item) -> Self:
        """Read a packet's items; a secret that is wrapped is left out. Raises DamagedInput."""
        if packet.tag != PACKET or packet.child(OBJECT_TYPE).as_number() not in (
            OBJECT_SYMMETRIC_KEY,
            OBJECT_SECRET_DATA,
        ):
            raise DamagedInput("this is no volume_key packet of a volume's key or passphrase")
        block = key_block(packet)
        value = block.child(KEY_VALUE)
        names = _application_values(value)
        is_wrapped = block.find(KEY_WRAPPING_DATA) is not None
        is_passphrase = packet.find(SYMMETRIC_KEY) is None
        path = (KEY_MATERIAL,) if is_passphrase else (KEY_MATERIAL, KEY)
        secret = None if is_wrapped else SecretBytes(value.child(*path).as_bytes())
        bits = 0 if is_passphrase else _attribute(value, "Cryptographic Length").as_number()
        return cls(
            kind="passphrase" if is_passphrase else "volume-key",
            secret=secret if is_passphrase else check_key(secret, bits),
            hostname=names.get((APPLICATION_SPECIFIC, "Host Name"), ""),
            volume_uuid=names.get((APPLICATION_SPECIFIC, "Volume UUID"), ""),
            volume_label=names.get((APPLICATION_SPECIFIC, "Volume Label"), ""),
            volume_path=names.get((APPLICATION_SPECIFIC, "Volume File"), ""),
            volume_format=names.get((APPLICATION_SPECIFIC, "Volume Format"), ""),
            cipher_name="" if is_passphrase else names.get(LUKS_CIPHER, ""),
            cipher_mode="" if is_passphrase else names.get(LUKS_MODE, ""),
            key_bits=bits,
            passphrase_slot=_slot(names.get((APPLICATION_SPECIFIC, "Passphrase Slot"))) if is_passphrase else None,
        )

    def to_item(self) -> Item:
        """The items of the packet in the clear, in volume_key's order."""
        if self.secret is None:
            raise UsageError("this packet's secret is still sealed", hint="open it first")
        strings = {
            "Host Name": self.hostname or "unknown",
            "Volume UUID": self.volume_uuid,
            "Volume Label": self.volume_label,
            "Volume File": self.volume_path or "unknown",
            "Volume Format": self.volume_format,
        }
        attributes = [_strings(APPLICATION_SPECIFIC, name, text) for name, text in strings.items() if text]
        if self.kind == "passphrase":
            material = Item(KEY_MATERIAL, 0x07, self.secret.reveal())
            slot = self.passphrase_slot
            attributes += [] if slot is None else [_strings(APPLICATION_SPECIFIC, "Passphrase Slot", str(slot))]
            kind = Item.enumeration(SECRET_DATA_TYPE, 1)
            block = _block(KEY_OPAQUE, material, attributes)
            return _packet(OBJECT_SECRET_DATA, Item.structure(SECRET_DATA, kind, block))
        material = Item.structure(KEY_MATERIAL, Item(KEY, 0x07, self.secret.reveal()))
        attributes += _cipher_attributes(self.cipher_name, self.cipher_mode, len(self.secret) * 8)
        block = _block(KEY_TRANSPARENT_SYMMETRIC, material, attributes)
        return _packet(OBJECT_SYMMETRIC_KEY, Item.structure(SYMMETRIC_KEY, block))


def key_block(packet: Item) -> Item:
    """The key block, which holds the secret."""
    inner = packet.find(SYMMETRIC_KEY) or packet.child(SECRET_DATA)
    return inner.child(KEY_BLOCK)


def check_key(key: SecretBytes | None, bits: int) -> SecretBytes | None:
    """The key itself when it has as many bits as the packet says; else raises DamagedInput."""
    if bits <= 0 or bits % 8 or (key is not None and len(key) * 8 != bits):
        raise DamagedInput("the key in the volume_key packet does not have the length that the packet states")
    return key


def _packet(object_type: int, content: Item) -> Item:
    version = Item.structure(
        PROTOCOL_VERSION, Item.integer(PROTOCOL_VERSION_MAJOR, 0), Item.integer(PROTOCOL_VERSION_MINOR, 98)
    )
    return Item.structure(PACKET, version, Item.enumeration(OBJECT_TYPE, object_type), content)


def _block(key_type: int, material: Item, attributes: list[Item]) -> Item:
    value = Item.structure(KEY_VALUE, material, *attributes)
    return Item.structure(KEY_BLOCK, Item.enumeration(KEY_VALUE_TYPE, key_type), value)


def _cipher_attributes(name: str, mode: str, bits: int) -> list[Item]:
    """The length, the cipher as LUKS writes it, and the same in KMIP's words where KMIP has some."""
    found = [_named("Cryptographic Length", Item.integer(ATTRIBUTE_VALUE, bits)), _strings(*LUKS_CIPHER, name)]
    if name == "aes":
        found.append(_named("Cryptographic Algorithm", Item.enumeration(ATTRIBUTE_VALUE, ALGORITHM_AES)))
    found.append(_strings(*LUKS_MODE, mode))
    block_mode, _, iv = mode.partition("-")
    hash_number = HASHES.get(iv.removeprefix("essiv:")) if iv.startswith("essiv:") else None
    if mode == "ecb":
        parameters = [Item.enumeration(BLOCK_CIPHER_MODE, MODE_ECB)]
    elif block_mode == "cbc" and (iv == "plain" or iv.startswith("essiv:")):
        parameters = [Item.enumeration(BLOCK_CIPHER_MODE, MODE_CBC)]
        parameters += [] if hash_number is None else [Item.enumeration(HASHING_ALGORITHM, hash_number)]
    else:
        return found
    return [*found, _named("Cryptographic Parameters", Item.structure(ATTRIBUTE_VALUE, *parameters))]


def _named(name: str, value: Item) -> Item:
    return Item.structure(ATTRIBUTE, Item.text(ATTRIBUTE_NAME, name), value)


def _strings(attribute: str, name: str, value: str) -> Item:
    pair = (Item.text(APPLICATION_NAME_SPACE, name), Item.text(APPLICATION_ID, value))
    return _named(attribute, Item.structure(ATTRIBUTE_VALUE, *pair))


def _application_values(value: Item) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for attribute in value.items:
        pair = attribute.find(ATTRIBUTE_VALUE)
        if attribute.tag == ATTRIBUTE and pair is not None and pair.find(APPLICATION_ID) is not None:
            name = (attribute.child(ATTRIBUTE_NAME).as_text(), pair.child(APPLICATION_NAME_SPACE).as_text())
            found.setdefault(name, pair.child(APPLICATION_ID).as_text())
    return found


def _attribute(value: Item, name: str) -> Item:
    for attribute in value.items:
        if attribute.tag == ATTRIBUTE and attribute.child(ATTRIBUTE_NAME).as_text() == name:
            return attribute.child(ATTRIBUTE_VALUE)
    raise DamagedInput(f"the volume_key packet lacks the attribute {name!r}")


def _slot(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        raise DamagedInput("the volume_key packet names an impossible keyslot")
    return int(text)
