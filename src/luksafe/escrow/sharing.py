"""M of N: the passphrase of a packet is split into shares of twenty words (SLIP-39); a volume key never is.

The secret is 128 bits, as much as age itself keeps a file under. The packet's passphrase is its 32 hexadecimal digits:
any SLIP-39 tool gives those back, and ``age -d`` takes them (spec/escrow-packet.md section 7).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Any

from luksafe.errors import DamagedInput, UsageError
from luksafe.escrow.public_part import Shares
from luksafe.escrow.recipients.interface import RecipientName
from luksafe.escrow.recipients.passphrase import Passphrase
from luksafe.escrow.share_typos import read_words
from luksafe.escrow.share_words import slip39
from luksafe.secret import SecretBytes
from luksafe.wall import walled

SECRET_BYTES = 16
MOST_SHARES = 16
MOST_TRIALS = 1000
SET_WORDS = 2  # in SLIP-39 the first two words hold the set's random identifier


@dataclass(frozen=True, slots=True)
class Share:
    """One share: its words, which number it has (from 1), how many are wanted, and the set it belongs to."""

    words: tuple[str, ...]
    number: int
    threshold: int
    share_set: str

    @property
    def text(self) -> SecretBytes:
        """The words in one line."""
        return SecretBytes(" ".join(self.words).encode())

    def __repr__(self) -> str:
        return f"<share {self.number} of set {self.share_set}, {self.threshold} wanted>"


@dataclass(frozen=True, slots=True)
class SplitPassphrase:
    """A fresh packet passphrase as recipient, what the packet's public part says of its shares, and the shares."""

    recipient: Passphrase
    public: Shares
    shares: tuple[Share, ...]


def split_passphrase(threshold: int, count: int, random_bytes: Callable[[int], bytes]) -> SplitPassphrase:
    """A fresh passphrase, split: any ``threshold`` of the ``count`` shares give it back, fewer tell nothing.

    The polynomials' randomness is the operating system's. Raises UsageError for impossible numbers, Unsupported
    without the library.
    """
    if not 2 <= threshold <= count <= MOST_SHARES:
        raise UsageError(
            f"{threshold} of {count} shares cannot be",
            hint=f"choose from 2 of 2 to {MOST_SHARES} of {MOST_SHARES}; for one person alone, seal it to that person",
        )
    with SecretBytes(random_bytes(SECRET_BYTES)) as secret:
        groups = slip39().generate_mnemonics(
            group_threshold=1, groups=[(threshold, count)], master_secret=secret.reveal(), iteration_exponent=0
        )
        passphrase = SecretBytes(secret.view.hex().encode())
    shares = tuple(_share(read_words(mnemonic)) for mnemonic in groups[0])
    public = Shares(threshold, count, shares[0].share_set)
    name = RecipientName("shares", f"any {threshold} of {count} shares of set {public.share_set}")
    return SplitPassphrase(Passphrase(passphrase, name), public, shares)


@walled("a share")
def read_share(text: str) -> Share:
    """A share from typed words or a share's file (see share_words).

    Raises DamagedInput; its hint proposes the words that may have been meant.
    """
    return _share(read_words(text))


def _share(words: tuple[str, ...]) -> Share:
    found = _decoded(words)
    return Share(words, found.index + 1, found.member_threshold, " ".join(words[:SET_WORDS]))


def _decoded(words: tuple[str, ...]) -> Any:
    library = slip39()
    try:
        share = library.Share.from_mnemonic(" ".join(words))
    except library.MnemonicError as error:
        raise DamagedInput(f"these words are no share: {error}") from None
    if share.group_count != 1 or share.group_threshold != 1 or len(share.value) != SECRET_BYTES:
        raise DamagedInput("this is a SLIP-39 share, but none of an escrow packet", hint="it may belong to a wallet")
    return share


class ShareCollector:
    """Takes shares one by one until there are enough. Call ``passphrase`` when ``is_complete``."""

    def __init__(self, expected: Shares | None = None) -> None:
        """``expected`` is what the packet's public part says of its shares; None when only shares are at hand."""
        self._expected = expected
        self._shares: dict[int, Share] = {}

    @property
    def share_set(self) -> str:
        """The set collected; empty while none is known."""
        first = next(iter(self._shares.values()), None)
        return first.share_set if first else self._expected.share_set if self._expected else ""

    @property
    def numbers(self) -> list[int]:
        """Which shares are in."""
        return sorted(self._shares)

    @property
    def threshold(self) -> int:
        """How many are wanted in all; 0 while that is not known."""
        first = next(iter(self._shares.values()), None)
        return first.threshold if first else self._expected.threshold if self._expected else 0

    @property
    def wanted(self) -> int:
        """How many more are wanted; 1 at least while nothing is known."""
        return max(0, (self.threshold or 1) - len(self._shares))

    @property
    def is_complete(self) -> bool:
        """Whether enough are in."""
        return self.wanted == 0

    def add(self, text: str) -> Share:
        """Take a share. Raises UsageError for one that is in already or of another set, DamagedInput for no share."""
        share = read_share(text)
        if self.share_set and share.share_set != self.share_set:
            raise UsageError(
                f"this share is of another set: it begins {share.share_set!r}, not {self.share_set!r}",
                hint="look for a sheet with the same first two words",
                code="share-of-another-set",
            )
        if self.threshold and share.threshold != self.threshold:
            raise UsageError(
                f"share {share.number} says that {share.threshold} are wanted, where {self.threshold} are wanted by"
                f" {self._others()}: one of them is forged or of another secret",
                hint="leave it out; ask its keeper where it comes from",
                code="share-of-another-threshold",
            )
        if share.number in self._shares:
            raise UsageError(
                f"share {share.number} is in already",
                hint=f"{self.wanted} more wanted, of other keepers",
                code="duplicate-share",
            )
        self._shares[share.number] = share
        return share

    def _others(self) -> str:
        """Who says how many are wanted."""
        if not self._shares:
            return "the packet"
        return f"share{'s' if len(self._shares) > 1 else ''} {' and '.join(map(str, self.numbers))}"

    def passphrase(self) -> Passphrase:
        """What opens the packet. Raises UsageError when shares are wanted still, DamagedInput when they do not fit."""
        if not self.is_complete:
            raise UsageError(f"{self.wanted} more shares are wanted", hint="give them one by one, in any order")
        chosen, secret = self._agreeing()
        with secret:
            odd = [
                share.number
                for share in self._shares.values()
                if share not in chosen and _combined([*chosen[1:], share]) != secret
            ]
            if odd:
                numbers = " and ".join(map(str, odd))
                raise DamagedInput(
                    f"share {numbers} does not fit the others, which fit each other: it is forged or of another secret",
                    hint=f"leave out share {numbers}; ask its keeper where it comes from",
                    code="odd-share",
                )
            return Passphrase(SecretBytes(secret.view.hex().encode()))

    def _agreeing(self) -> tuple[tuple[Share, ...], SecretBytes]:
        """The first shares that fit each other, as many as are wanted, and their secret. Raises DamagedInput."""
        for chosen in islice(combinations(self._shares.values(), self.threshold), MOST_TRIALS):
            if (secret := _combined(chosen)) is not None:
                return chosen, secret
        raise DamagedInput(
            "the shares do not fit together",
            hint="one of them may be forged: with one more than are wanted, luksafe finds out which",
        )


def _combined(shares: Sequence[Share]) -> SecretBytes | None:
    """The secret that shares give; None where they do not fit each other."""
    library = slip39()
    try:
        return SecretBytes(library.combine_mnemonics([" ".join(share.words) for share in shares]))
    except library.MnemonicError:
        return None
