"""The bytes of the new header: the base extended by a keyslot, or a header made anew from the parameters."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from luksafe.errors import LuksafeError, Refused
from luksafe.luks.compact import Range, capture
from luksafe.luks.create import KdfChoice, create_header
from luksafe.luks.extend import extend_header
from luksafe.luks.finding import Severity
from luksafe.luks.inspection import Inspection, inspect
from luksafe.luks.model import Header
from luksafe.luks.unlock import unlock, verify_volume_key
from luksafe.ops.rebuild.known import Known
from luksafe.reader import BytesReader, Reader
from luksafe.secret import SecretBytes

MAX_MEMORY_KIB = 1 << 20
MAX_CPUS = 4


@dataclass(frozen=True, slots=True)
class NewHeader:
    """A header image; ``kept`` are the ranges of it that mean something, the rest is zero."""

    image: bytes
    kept: tuple[Range, ...]
    header: Header


def default_kdf() -> KdfChoice:
    """cryptsetup's choice: Argon2id with one GiB, or half of the memory that this machine has."""
    half_kib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2048
    return KdfChoice(memory_kib=min(MAX_MEMORY_KIB, half_kib), cpus=min(MAX_CPUS, os.cpu_count() or 1))


def make_header(
    known: Known, passphrase: SecretBytes, kdf: KdfChoice, random_bytes: Callable[[int], bytes]
) -> NewHeader:
    """The new header with a keyslot for ``passphrase``. Raises Refused when there is no room for it."""
    if known.parameters.format == "luks1" and kdf.type != "pbkdf2":
        kdf = replace(kdf, type="pbkdf2")
    try:
        image = _image(known, passphrase, kdf, random_bytes)
    except ValueError as problem:
        raise Refused(
            f"no header can be made with these parameters: {problem}",
            code="no-room",
            hint="a detached header file needs no room on the device: --to FILE, if the data begin at byte 0",
        ) from None
    inspection = inspect(BytesReader(image))
    _require_valid(inspection)
    return NewHeader(image, capture(BytesReader(image), inspection).kept, inspection.require_header())


def new_keyslot(known: Known, header: Header) -> int:
    """The keyslot of the new passphrase: the one that the base does not have."""
    before = known.base.keyslots if known.base else ()
    return next(slot for slot in sorted(header.keyslots) if slot not in before)


def _image(known: Known, passphrase: SecretBytes, kdf: KdfChoice, random_bytes: Callable[[int], bytes]) -> bytes:
    base = known.base
    if base is None:
        parameters = replace(known.parameters, seqid=known.least_seqid)
        return create_header(parameters, known.key, passphrase, kdf, random_bytes)
    return extend_header(
        base.found.inspection,
        base.found.reader,
        base.keyslots,
        known.key,
        passphrase,
        kdf,
        random_bytes,
        seqid=known.least_seqid,
    )


def _require_valid(inspection: Inspection) -> None:
    faults = [f.text for f in inspection.all_findings if f.severity is Severity.ERROR]
    if inspection.header is None or faults:
        raise Refused(f"the new header would not be valid: {'; '.join(faults)}", code="invalid-header")


def prove_new_header(reader: Reader, passphrase: SecretBytes, key: SecretBytes) -> Inspection:
    """Open what was written with the new passphrase. Raises LuksafeError when it is not the header that was meant."""
    inspection = inspect(reader)
    _require_valid(inspection)
    header = inspection.require_header()
    segment = header.default_segment
    digest = header.digest_of_segment(segment.id) if segment else None
    with unlock(reader, header, passphrase).volume_key as opened:
        if opened != key or digest is None or not verify_volume_key(digest, key):
            raise LuksafeError("the header that was written opens with another volume key", code="verification")
    return inspection
