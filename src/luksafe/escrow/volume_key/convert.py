"""Between volume_key's packets and what the rest of luksafe knows: imported secrets, and the contents of packets."""

from __future__ import annotations

from luksafe.errors import DamagedInput, UsageError
from luksafe.escrow.contents import Contents, SecretKind
from luksafe.escrow.import_.model import ImportedSecret
from luksafe.escrow.volume_key.model import VolumeKeyPacket


def to_imported(packet: VolumeKeyPacket) -> ImportedSecret:
    """What an opened packet says; raises DamagedInput when it is not a LUKS volume's, or was not opened."""
    if packet.secret is None or packet.volume_format not in ("crypt_LUKS", "crypto_LUKS"):
        raise DamagedInput(f"the volume_key packet is of a {packet.volume_format or 'nameless'} volume, not of LUKS")
    return ImportedSecret(
        kind=packet.kind,
        secret=packet.secret,
        source="volume_key",
        uuid=packet.volume_uuid,
        hostname=packet.hostname,
        label=packet.volume_label,
        cipher=packet.cipher,
        key_bits=packet.key_bits,
        keyslot=packet.passphrase_slot,
    )


def from_contents(contents: Contents, kind: SecretKind) -> VolumeKeyPacket:
    """The packet that volume_key is to get; raises UsageError when there is no such secret, or one it cannot hold."""
    secret = contents.secret(kind)
    if secret is None:
        raise UsageError(f"the packet holds no {kind}", hint=f"it holds: {', '.join(contents.kinds)}")
    if kind == "passphrase" and 0 in secret.value.view:
        raise UsageError("volume_key takes no passphrase with a NUL byte", hint="export the volume key")
    name, _, mode = contents.volume.cipher.partition("-")
    is_key = kind == "volume-key"
    return VolumeKeyPacket(
        kind=kind,
        secret=secret.value,
        hostname=contents.host,
        volume_uuid=contents.volume.uuid,
        volume_label=contents.volume.label,
        volume_path=str(contents.device.get("path", "")),
        cipher_name=name if is_key else "",
        cipher_mode=mode if is_key else "",
        key_bits=len(secret.value) * 8 if is_key else 0,
        passphrase_slot=None if is_key else secret.of,
    )
