"""A key tried while diagnosing: which keyslot it opens, and whether the data make sense with what the header says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from luksafe.crypto.kdf import KdfLimits
from luksafe.errors import KeyRejected, LuksafeError
from luksafe.luks.inspection import Inspection
from luksafe.luks.model import Header
from luksafe.luks.unlock import Unlocked, keyslots_in_order, unlock, verify_volume_key
from luksafe.ops.diagnosis.variants import variants
from luksafe.probe.content import recognise_content
from luksafe.reader import Reader
from luksafe.secret import SecretBytes
from luksafe.view.parameters import find_parameters
from luksafe.view.stream import open_volume

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class KeyTrial:
    """What to try: a passphrase (and, if asked for, variants of it) or a volume key."""

    passphrase: SecretBytes | None = None
    volume_key: SecretBytes | None = None
    keyslot: int | None = None
    with_variants: bool = False
    limits: KdfLimits = field(default_factory=KdfLimits)
    say: Say = lambda text: None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of it. ``keyslot``: which one opened; ``variant`` says in words how the passphrase had to be changed.

    ``is_rejected``: nothing opened. ``problem``: why it could not be tried. ``sense``: what the data decrypt to;
    ``better``: parameters with which they do make sense. ``with_variants``: variants of the passphrase were tried too.
    """

    keyslot: int | None = None
    is_volume_key: bool = False
    is_rejected: bool = False
    tried: int = 0
    with_variants: bool = False
    variant: str = ""
    problem: str = ""
    sense: str = ""
    better: str = ""


def try_key(header_reader: Reader, data_reader: Reader, inspection: Inspection, trial: KeyTrial) -> Attempt:
    """Try the key on the header (as repaired, where it needs that). Raises nothing that a key can cause."""
    header = inspection.header
    if header is None:
        return Attempt(problem="there is no header to try the key on")
    try:
        if trial.volume_key is not None:
            return _try_volume_key(data_reader, header_reader, header, trial.volume_key, trial.limits)
        return _try_passphrases(header_reader, data_reader, header, trial)
    except LuksafeError as problem:
        return Attempt(problem=str(problem))


def _try_volume_key(
    data_reader: Reader, header_reader: Reader, header: Header, key: SecretBytes, limits: KdfLimits
) -> Attempt:
    fitting = [d.id for d in header.digests.values() if verify_volume_key(d, key, limits)]
    if not fitting:
        return Attempt(is_volume_key=True, is_rejected=True, tried=len(header.digests))
    return _look(data_reader, header_reader, header, Unlocked(-1, key, fitting[0]), Attempt(is_volume_key=True))


def _try_passphrases(header_reader: Reader, data_reader: Reader, header: Header, trial: KeyTrial) -> Attempt:
    tried = 0
    for words, passphrase in _candidates(header, trial):
        tried += 1
        started = time.monotonic()
        try:
            opened = unlock(header_reader, header, passphrase, keyslot=trial.keyslot, limits=trial.limits)
        except KeyRejected:
            if tried == 1 and trial.with_variants:
                _say_estimate(trial, time.monotonic() - started)
            continue
        with opened.volume_key:
            attempt = Attempt(keyslot=opened.keyslot, tried=tried, variant=words)
            return _look(data_reader, header_reader, header, opened, attempt)
    return Attempt(is_rejected=True, tried=tried, with_variants=trial.with_variants)


def _candidates(header: Header, trial: KeyTrial) -> Iterator[tuple[str, SecretBytes]]:
    passphrase = trial.passphrase or SecretBytes()
    yield "", passphrase
    if trial.with_variants and any(keyslots_in_order(header)):
        yield from variants(passphrase)


def _say_estimate(trial: KeyTrial, seconds: float) -> None:
    number = sum(1 for _ in variants(trial.passphrase or SecretBytes()))
    trial.say(f"trying {number} variants of the passphrase, about {number * seconds:.0f} s ({seconds:.1f} s each)")


def _look(data_reader: Reader, header_reader: Reader, header: Header, opened: Unlocked, attempt: Attempt) -> Attempt:
    """Whether the data decrypt to sense with the parameters in the header; if not, which others would do."""
    segment = header.default_segment
    if segment is None or header.is_in_reencryption or data_reader.size_bytes <= header.data_offset:
        return attempt
    try:
        volume = open_volume(data_reader, header, {opened.digest_id: opened.volume_key}, header_reader=header_reader)
        content = recognise_content(volume)
    except (LuksafeError, OSError):
        return attempt
    if content.plausible:
        return replace(attempt, sense=f"{content.name}: {content.why}")
    better = find_parameters(data_reader, segment, opened.volume_key)
    name = "noise" if content.name == "random" else content.name
    return replace(attempt, sense=f"{name}: {content.why}", better=better.text if better else "")
