"""Any M shares open; M-1 tell nothing, as statistics over the field."""

from __future__ import annotations

import os
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shamir_mnemonic import Share, cipher
from shamir_mnemonic.shamir import RawShare, _interpolate

from luksafe.errors import UsageError
from luksafe.escrow.sharing import ShareCollector, split_passphrase

SECRET_INDEX = 255


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_m_of_n_open_and_fewer_do_not(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 8))
    threshold = data.draw(st.integers(2, count))
    split = split_passphrase(threshold, count, os.urandom)
    chosen = data.draw(st.permutations(split.shares))[:threshold]
    collector = ShareCollector(split.public)
    for number, share in enumerate(chosen):
        assert collector.wanted == threshold - number
        with pytest.raises(UsageError):
            collector.passphrase()
        collector.add(share.text.reveal().decode())
    assert collector.passphrase().passphrase == split.recipient.passphrase


def test_every_combination_of_3_of_5() -> None:
    split = split_passphrase(3, 5, os.urandom)
    for chosen in combinations(split.shares, 3):
        collector = ShareCollector()
        for share in chosen:
            collector.add(share.text.reveal().decode())
        assert collector.passphrase().passphrase == split.recipient.passphrase


def raw(words: tuple[str, ...]) -> RawShare:
    share = Share.from_mnemonic(" ".join(words))
    return RawShare(share.index, share.value)


def test_one_share_of_two_is_uniform_whatever_the_secret() -> None:
    """The bytes of a single share, over many splits of one secret, are spread like random bytes (chi-squared)."""
    found: Counter[int] = Counter()
    for _ in range(250):
        split = split_passphrase(2, 2, bytes)
        found.update(raw(split.shares[0].words).data)
    expected = sum(found.values()) / 256
    chi_squared = sum((found[value] - expected) ** 2 / expected for value in range(256))
    # 255 degrees of freedom: mean 255, deviation 22.6; beyond six deviations is no chance
    assert 255 - 6 * 22.6 < chi_squared < 255 + 6 * 22.6


def test_two_shares_of_three_leave_every_secret_byte_equally_possible() -> None:
    """For each value that the missing share's byte may have, the secret's byte is another one: all 256 occur once."""
    split = split_passphrase(3, 5, os.urandom)
    held = [raw(share.words) for share in split.shares[:2]]
    missing_x = raw(split.shares[2].words).x
    for place in range(4):
        known = [RawShare(share.x, share.data[place : place + 1]) for share in held]
        secrets = {_interpolate([*known, RawShare(missing_x, bytes([guess]))], SECRET_INDEX)[0] for guess in range(256)}
        assert secrets == set(range(256))


def test_shares_of_different_secrets_look_alike() -> None:
    """Correlation between a secret's bytes and those of M-1 shares: none beyond chance."""
    same = total = 0
    for _ in range(100):
        secret = os.urandom(16)
        split = split_passphrase(2, 3, lambda count, secret=secret: secret)
        master = Share.from_mnemonic(" ".join(split.shares[0].words))
        encrypted = cipher.encrypt(secret, b"", 0, master.identifier, master.extendable)
        for value in (raw(split.shares[0].words).data, raw(split.shares[2].words).data):
            same += sum(a == b for a, b in zip(value, encrypted, strict=True))
            total += len(value)
    expected = total / 256  # 12.5, with a deviation of 3.5
    assert abs(same - expected) < 6 * expected**0.5
