"""The volume key in an escrow packet, with the parameters and perhaps the header that were sealed with it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from luksafe.device.identity import DeviceFacts
from luksafe.errors import DamagedInput, KeyRejected, LuksafeError, Refused, Unsupported
from luksafe.escrow.canary import CipherParameters, check_canary
from luksafe.escrow.contents import Contents
from luksafe.escrow.parameters import VolumeParameters
from luksafe.luks.create import DEFAULT_HEADER_BYTES, Parameters
from luksafe.luks.inspection import inspect
from luksafe.luks.luks2.metadata import read_digest
from luksafe.luks.model import Digest
from luksafe.luks.unlock import unlock
from luksafe.ops.rebuild.bases import FoundHeader
from luksafe.ops.rebuild.known import KeyProof, KeySource
from luksafe.ops.same_device import compare_device
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes

MAX_HEADER_BYTES = 64 << 20


def key_of_packet(contents: Contents, name: str, facts: DeviceFacts | None = None) -> KeySource:
    """Key and parameters of an opened packet; its canary must fit them. ``facts`` are of the device at hand.

    Raises Refused where it does not, KeyRejected for a packet whose secret gives no volume key, DamagedInput.
    """
    headers = tuple(_sealed_header(contents, name))
    key = _volume_key(contents, headers)
    if len(key) * 8 != contents.volume.key_bits:
        raise DamagedInput(f"{name} holds a key of {len(key) * 8} bits and speaks of {contents.volume.key_bits}")
    return KeySource(
        key=key,
        origin=name,
        parameters=parameters_of_packet(contents.volume) if contents.volume.is_complete else None,
        uuid=contents.volume.uuid,
        headers=headers,
        proofs=tuple(_canary_proof(contents, key, name)),
        device=compare_device(name, contents.device, facts) if facts else None,
    )


def parameters_of_packet(volume: VolumeParameters) -> Parameters:
    """What a header of the packet's volume has to say. Raises DamagedInput, Unsupported."""
    data = [s for s in volume.segments.values() if not any(str(f).startswith("backup-") for f in s.get("flags", ()))]
    if len(data) != 1 or volume.format == "unknown":
        raise Unsupported(
            "the packet was made during a reencryption: its data have more than one key",
            hint="restore the header that is sealed with it, or a backup of that time: luksafe list",
        )
    try:
        size, config = volume.segment.get("size", "dynamic"), volume.config
        is_luks2 = volume.format == "luks2"
        return Parameters(
            format=volume.format,
            uuid=volume.uuid,
            encryption=volume.cipher,
            data_offset=volume.data_offset,
            sector_size=volume.sector_size,
            iv_tweak=volume.iv_tweak,
            segment_size=None if size == "dynamic" else int(size),
            label=volume.label,
            subsystem=volume.subsystem,
            flags=tuple(str(flag) for flag in config.get("flags", ())),
            integrity=volume.segment.get("integrity"),
            header_size=volume.header_size if is_luks2 else DEFAULT_HEADER_BYTES,
            keyslots_size=int(config["keyslots_size"]) if is_luks2 and "keyslots_size" in config else None,
            hash=volume.hash,
            digest=_digest(volume),
        )
    except (TypeError, ValueError, AttributeError):
        raise DamagedInput("the volume's parameters in the packet are not as LUKS has them") from None


def _digest(volume: VolumeParameters) -> Digest:
    raw = volume.digests[volume.digest_id]
    return read_digest(0, {**raw, "type": str(raw.get("type", "")), "keyslots": [], "segments": []})


def _volume_key(contents: Contents, headers: tuple[FoundHeader, ...]) -> SecretBytes:
    """The volume key itself, or what the sealed passphrase gets out of the sealed header."""
    secret = contents.secret("volume-key")
    if secret is not None:
        return secret.value
    passphrase = contents.secret("passphrase")
    for found in headers:
        try:
            if passphrase is not None:
                return unlock(found.reader, found.inspection.require_header(), passphrase.value).volume_key
        except LuksafeError:
            continue
    raise KeyRejected(
        "the packet holds a passphrase, and no header that it opens: it gives no volume key",
        code="no-volume-key",
        hint="with a backup of the header: luksafe restore, then open the volume with that passphrase",
    )


def _sealed_header(contents: Contents, name: str) -> Iterator[FoundHeader]:
    if contents.header_gz is None:
        return
    unpacker = zlib.decompressobj(wbits=31)
    try:
        image = unpacker.decompress(contents.header_gz, MAX_HEADER_BYTES)
    except zlib.error:
        raise DamagedInput(f"the header in {name} is no gzip file") from None
    if unpacker.unconsumed_tail:
        raise DamagedInput(f"the header in {name} unpacks to more than {MAX_HEADER_BYTES >> 20} MiB")
    reader = BytesReader(image)
    yield FoundHeader(reader, inspect(reader), f"the header in {name}")


def _canary_proof(contents: Contents, key: SecretBytes, name: str) -> Iterator[KeyProof]:
    if contents.canary is None or not contents.volume.is_complete:
        return
    try:
        verdict = check_canary(contents.canary, CipherParameters.of(contents.volume), key)
    except Unsupported:
        return  # integrity, or a cipher that cannot be had here: other proofs have to do
    if not verdict.fits:
        right = verdict.right
        wrong = "; ".join(f"{n} should be {getattr(right, n)}" for n in verdict.misfits) if right else "the key or more"
        raise Refused(
            f"the canary of {name} does not fit its key and parameters: they were altered ({wrong})",
            code="canary",
            hint="take another copy of the packet",
        )
    yield KeyProof("canary", f"the canary in {name} fits the key, the cipher, the sector size and the IV offset")
