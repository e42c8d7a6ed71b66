"""Shares of one set that want different numbers of each other (vectors 12 and 31 of SLIP-39)."""

from __future__ import annotations

import secrets
from dataclasses import replace
from itertools import permutations

import pytest
from shamir_mnemonic import Share as RawShare

from luksafe.errors import UsageError
from luksafe.escrow.sharing import ShareCollector, split_passphrase


def test_members_with_other_thresholds_are_told_whatever_the_order() -> None:
    whole = split_passphrase(3, 5, secrets.token_bytes).shares
    raw = RawShare.from_mnemonic(" ".join(whole[2].words))
    altered = replace(raw, member_threshold=2).mnemonic()
    texts = [" ".join(whole[0].words), " ".join(whole[1].words), altered]
    for order in permutations(texts):
        collector = ShareCollector()
        with pytest.raises(UsageError, match=r"share \d says that \d are wanted") as caught:
            for text in order:
                collector.add(text)
        assert caught.value.code == "share-of-another-threshold"
