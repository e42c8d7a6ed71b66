"""What a header is in itself, whole as it is: a volume key in the clear, a cheap key derivation, a drive of its own."""

from __future__ import annotations

from collections.abc import Iterator

from luksafe.crypto.spec import is_null_cipher
from luksafe.luks.finding import Finding, Severity
from luksafe.luks.model import Header, Keyslot
from luksafe.luks.requirements import INLINE_TAGS, opal_requirement

WEAK_PBKDF2_ITERATIONS = 100_000
WEAK_ARGON2_KIB = 32 << 10
"""Below these a guess costs an attacker next to nothing; cryptsetup's own defaults are far above."""
_STRONG_SECRETS = ("systemd-",)
"""The tokens of these types enrol secrets that nobody guesses, and need no costly derivation."""


def weaknesses(header: Header) -> tuple[Finding, ...]:
    """What is worth a word though nothing is damaged: ``error`` where the volume key or the data lie in the clear."""
    return (*_null_ciphers(header), *_weak_kdfs(header), *_hardware(header))


def is_in_the_clear(keyslot: Keyslot) -> bool:
    """Whether the area of a keyslot is not encrypted: it then proves nothing, and its statistics say nothing."""
    return keyslot.area is not None and is_null_cipher(keyslot.area.encryption)


def clear_text_findings(header: Header) -> tuple[Finding, ...]:
    """Those of the weaknesses with which no key proves anything."""
    return tuple(_null_ciphers(header))


def _null_ciphers(header: Header) -> Iterator[Finding]:
    for keyslot in header.keyslots.values():
        if keyslot.area is not None and is_null_cipher(keyslot.area.encryption):
            text = (
                f"keyslot {keyslot.id} is not encrypted (cipher {keyslot.area.encryption}): the volume key lies in the"
                " clear, and whoever reads the header has it"
            )
            yield Finding("null-keyslot", Severity.ERROR, f"keyslots.{keyslot.id}.area.encryption", text)
    for segment in header.data_segments:
        if is_null_cipher(segment.encryption):
            text = f"the data are not encrypted (cipher {segment.encryption}): whoever has the disk reads them"
            yield Finding("null-segment", Severity.ERROR, f"segments.{segment.id}.encryption", text)


def _weak_kdfs(header: Header) -> Iterator[Finding]:
    spared = {k for t in header.tokens.values() if t.type.startswith(_STRONG_SECRETS) for k in t.keyslots}
    for keyslot in header.keyslots.values():
        kdf = keyslot.kdf
        if kdf is None or keyslot.id in spared or is_in_the_clear(keyslot):
            continue
        where = f"keyslots.{keyslot.id}.kdf"
        if kdf.type == "pbkdf2" and (kdf.iterations or 0) < WEAK_PBKDF2_ITERATIONS:
            text = f"keyslot {keyslot.id} derives its key with {kdf.iterations} iterations of PBKDF2 only"
            yield Finding("weak-kdf", Severity.WARNING, where, f"{text}: a passphrase is quickly guessed")
        elif kdf.type.startswith("argon2") and (kdf.memory_kib or 0) < WEAK_ARGON2_KIB:
            text = f"keyslot {keyslot.id} derives its key with {kdf.memory_kib} KiB of memory only ({kdf.type})"
            yield Finding("weak-kdf", Severity.WARNING, where, f"{text}: a passphrase is quickly guessed")


def _hardware(header: Header) -> Iterator[Finding]:
    if name := opal_requirement(header.config.requirements):
        yield Finding("opal", Severity.WARNING, "config.requirements", _opal_words(header, name))
    if INLINE_TAGS in header.config.requirements:
        text = (
            "integrity tags lie in the drive's own sector metadata (inline-hw-tags): an image of the disk without"
            " them cannot be opened, and cryptsetup 2.8 with kernel 6.11 or later is needed"
        )
        yield Finding("inline-hw-tags", Severity.WARNING, "config.requirements", text)


def _opal_words(header: Header, requirement: str) -> str:
    """What cryptsetup's manual warns of, for the owner of a backup."""
    is_alone = any(segment.type == "hw-opal" for segment in header.data_segments)
    words = (
        f"the drive encrypts by itself ({requirement}): its key never leaves it, so a header backup is of use on this"
        " very drive only, and after a factory reset (PSID) or an erase of the range no backup brings the data back"
    )
    if is_alone and requirement == "opal":
        words += "; the drive's administrator PIN unlocks the data without a passphrase of LUKS"
    return words
