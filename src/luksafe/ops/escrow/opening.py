"""An opened packet: which secret is meant, and whether its canary agrees with its parameters."""

from __future__ import annotations

from collections.abc import Sequence

from luksafe.errors import DamagedInput, NotFound, Unsupported
from luksafe.escrow.canary import CipherParameters, check_canary
from luksafe.escrow.contents import Contents, Secret, SecretKind
from luksafe.escrow.packet import OpenPacket, Packet, open_packet
from luksafe.escrow.recipients.interface import Identity
from luksafe.luks.model import Json
from luksafe.ops.escrow.found import FoundPacket


def open_found(found: FoundPacket, identities: Sequence[Identity]) -> tuple[OpenPacket, str]:
    """Open it, and say what is wrong with its public part; see ``packet.open_packet`` for what is raised.

    A public part that says other things than the sealed part is refused, and stops nobody from opening that.
    """
    try:
        return open_packet(found.packet, identities), found.problem
    except DamagedInput as error:
        if found.packet.public is None:
            raise
        return open_packet(Packet(found.packet.sealed), identities), f"its public part is not used: {error}"


def pick_secret(contents: Contents, kind: SecretKind | None = None) -> Secret:
    """The secret of this kind; with none named the volume key, which opens the most. Raises NotFound."""
    secret = contents.secret(kind) if kind else contents.secret("volume-key") or contents.secret("passphrase")
    if secret is None:
        raise NotFound(f"the packet holds no {kind}", hint=f"it holds: {', '.join(contents.kinds)}")
    return secret


def canary_words(contents: Contents) -> str:
    """What is wrong between the packet's volume key and its parameters; empty when nothing is, or nobody can tell."""
    secret = contents.secret("volume-key")
    if secret is None or contents.canary is None:
        return ""
    try:
        verdict = check_canary(contents.canary, CipherParameters.of(contents.volume), secret.value)
    except Unsupported:
        return ""
    if verdict.fits:
        return ""
    if verdict.right is None:
        return "the packet's canary does not fit: its volume key or its parameters were altered"
    names = ", ".join(f"{name} should be {getattr(verdict.right, name)}" for name in verdict.misfits)
    return f"the packet's canary does not fit its parameters: {names}"


def describe_volume(contents: Contents) -> Json:
    """Every parameter of the volume, by the names that ``show`` uses; without any secret."""
    volume = contents.volume
    return {
        "uuid": volume.uuid,
        "format": volume.format,
        "label": volume.label,
        "subsystem": volume.subsystem,
        "cipher": volume.cipher,
        "key_bits": volume.key_bits,
        "sector_size": volume.sector_size,
        "data_offset": volume.data_offset,
        "iv_tweak": volume.iv_tweak,
        "hash": volume.hash,
        "header_size": volume.header_size,
        "segments": volume.segments,
        "digests": volume.digests,
        "config": volume.config,
        "complete": volume.is_complete,
    }


def describe_contents(contents: Contents) -> Json:
    """All that an opened packet says, besides the secrets."""
    made = contents.made
    return {
        **describe_volume(contents),
        "packet": contents.packet_id,
        "kinds": contents.kinds,
        "host": contents.host,
        "device": dict(contents.device),
        "made": {"when": made.to_json()["when"], "by": made.by, "tool": made.tool, "reason": made.reason},
        "has_header": contents.header_gz is not None,
        "has_canary": contents.canary is not None,
    }
