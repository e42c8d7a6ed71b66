"""Shares: split, gathered one by one, set right when mistyped."""

from __future__ import annotations

import os
from dataclasses import replace

import escrow_samples as samples
import pytest
from shamir_mnemonic import generate_mnemonics

from luksafe.errors import DamagedInput, UsageError
from luksafe.escrow.packet import open_packet, read_packet, seal
from luksafe.escrow.share_file import render_share
from luksafe.escrow.share_typos import edit_distance, propose_words
from luksafe.escrow.share_words import wordlist
from luksafe.escrow.sharing import ShareCollector, read_share, split_passphrase

SPLIT = split_passphrase(3, 5, lambda count: bytes(range(count)))
WORDS = list(SPLIT.shares[1].words)


def typed(words: list[str]) -> str:
    return " ".join(words)


def test_what_is_split() -> None:
    assert SPLIT.recipient.passphrase.reveal() == bytes(range(16)).hex().encode()
    assert (SPLIT.public.threshold, SPLIT.public.count) == (3, 5)
    assert [share.number for share in SPLIT.shares] == [1, 2, 3, 4, 5]
    assert {share.share_set for share in SPLIT.shares} == {SPLIT.public.share_set}
    assert {len(share.words) for share in SPLIT.shares} == {20}


@pytest.mark.parametrize(("threshold", "count"), [(1, 1), (1, 3), (4, 3), (2, 17), (0, 0)])
def test_impossible_numbers(threshold: int, count: int) -> None:
    with pytest.raises(UsageError):
        split_passphrase(threshold, count, os.urandom)


def test_gathering() -> None:
    collector = ShareCollector()
    assert (collector.wanted, collector.threshold, collector.share_set) == (1, 0, "")
    collector.add(typed(list(SPLIT.shares[4].words)))
    assert (collector.wanted, collector.numbers, collector.share_set) == (2, [5], SPLIT.public.share_set)
    with pytest.raises(UsageError, match="2 more shares are wanted"):
        collector.passphrase()
    with pytest.raises(UsageError) as caught:
        collector.add(typed(list(SPLIT.shares[4].words)))
    assert caught.value.code == "duplicate-share"
    collector.add(typed(list(SPLIT.shares[0].words)))
    collector.add(typed(list(SPLIT.shares[2].words)))
    collector.add(typed(list(SPLIT.shares[3].words)))  # one more than wanted does no harm
    assert collector.is_complete
    assert collector.passphrase().passphrase == SPLIT.recipient.passphrase


def test_a_share_of_another_set_is_told() -> None:
    other = split_passphrase(3, 5, os.urandom)
    collector = ShareCollector(SPLIT.public)
    assert collector.wanted == 3
    with pytest.raises(UsageError, match="of another set") as caught:
        collector.add(typed(list(other.shares[0].words)))
    assert caught.value.code == "share-of-another-set"


def test_a_share_of_a_wallet_is_told() -> None:
    groups = generate_mnemonics(2, [(2, 3), (2, 3)], bytes(16))
    with pytest.raises(DamagedInput, match="none of an escrow packet"):
        read_share(groups[0][0])


def test_shares_that_do_not_fit_together() -> None:
    collector = ShareCollector()
    for share in SPLIT.shares[:3]:
        collector.add(typed(list(share.words)))
    forged = split_passphrase(3, 5, os.urandom).shares[0]
    collector._shares[1] = forged
    with pytest.raises(DamagedInput, match="do not fit together"):
        collector.passphrase()


@pytest.mark.parametrize(
    "text",
    [
        typed(WORDS).upper(),
        "\n".join(f"{n:>2}. {word}" for n, word in enumerate(WORDS, 1)),
        typed([word[:4] for word in WORDS]),
        f"# a comment with words\n{typed(WORDS)} # and more",
        ", ".join(WORDS),
    ],
    ids=["upper", "numbered", "four letters", "comments", "commas"],
)
def test_typing_is_forgiven(text: str) -> None:
    assert list(read_share(text).words) == WORDS


def changed(words: list[str], *changes: tuple[int, str]) -> list[str]:
    words = list(words)
    for at, word in changes:
        words[at] = word
    return words


def another(at: int) -> str:
    return next(word for word in wordlist() if word != WORDS[at])


@pytest.mark.parametrize(
    "wrong",
    [
        changed(WORDS, (7, WORDS[7][:-1] + "q")),
        changed(WORDS, (3, "zzzz"), (12, WORDS[12][1:] + "x")),
        changed(WORDS, (3, WORDS[3] + "q"), (12, WORDS[12] + "x"), (19, WORDS[19][:-1] + "zq")),
        changed(WORDS, (5, another(5))),
        changed(WORDS, (1, another(1))),
        changed(WORDS, (8, WORDS[9]), (9, WORDS[8])),
        WORDS[:9] + WORDS[10:],
        [*WORDS[:9], "academic", *WORDS[9:]],
    ],
    ids=["unknown", "two unknown", "three unknown", "another", "another second", "swapped", "missing", "surplus"],
)
def test_wrong_words_are_found(wrong: list[str]) -> None:
    assert propose_words(typed(wrong))[0] == tuple(WORDS)
    with pytest.raises(DamagedInput) as caught:
        read_share(typed(wrong))
    assert "perhaps" in caught.value.hint


def test_the_hint_names_the_word() -> None:
    with pytest.raises(DamagedInput, match=r"not in the word list: word 8 \('zzzz'\)") as caught:
        read_share(typed(changed(WORDS, (7, "zzzz"))))
    assert f"perhaps word 8: {WORDS[7]}" in caught.value.hint
    with pytest.raises(DamagedInput, match="has 20 words, this has 19") as caught:
        read_share(typed(WORDS[:4] + WORDS[5:]))
    assert f"word 5 is missing: {WORDS[4]}" in caught.value.hint


@pytest.mark.parametrize("text", ["", "hello world", "quack " * 20, "x" * 100_000, typed(WORDS[:10])], ids=range(5))
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(DamagedInput):
        read_share(text)
    if len(text) < 1000:
        assert propose_words(text) == []


def test_edit_distance() -> None:
    assert [edit_distance("acid", word) for word in ("acid", "acdi", "aid", "acids", "xcid", "")] == [0, 1, 1, 1, 1, 4]


def test_share_file_reads_back() -> None:
    packet = seal(samples.contents(host="evil\nacid acne"), [SPLIT.recipient], os.urandom, SPLIT.public)
    for share in SPLIT.shares:
        text = render_share(share, packet.public).decode()
        assert read_share(text) == share
        assert packet.public.packet_id in text
    collector = ShareCollector(packet.public.shares)
    for share in SPLIT.shares[2:]:
        collector.add(render_share(share, packet.public).decode())
    opened = open_packet(read_packet(packet.sealed), [collector.passphrase()])
    assert opened.public.recipients[0].kind == "shares"


def test_repr_hides_the_words() -> None:
    assert WORDS[5] not in repr(SPLIT).replace(SPLIT.public.share_set, "")


def forged() -> str:
    """A share of the same set and place that belongs to another secret."""
    from shamir_mnemonic.share import Share

    good = Share.from_mnemonic(typed(list(SPLIT.shares[4].words)))
    return str(replace(good, value=bytes(16)).mnemonic())


def test_surplus_shares_are_checked_against_the_others() -> None:
    collector = ShareCollector()
    for share in SPLIT.shares:
        collector.add(typed(list(share.words)))
    assert collector.passphrase().passphrase.reveal() == SPLIT.recipient.passphrase.reveal()
    for place in range(4):
        collector = ShareCollector()
        texts = [typed(list(share.words)) for share in SPLIT.shares[:3]]
        texts.insert(place, forged())
        for text in texts:
            collector.add(text)
        with pytest.raises(DamagedInput, match="share 5 does not fit the others") as odd:
            collector.passphrase()
        assert "leave out share 5" in odd.value.hint


def test_a_forged_share_among_just_enough_is_told() -> None:
    collector = ShareCollector()
    for text in (typed(list(SPLIT.shares[0].words)), typed(list(SPLIT.shares[1].words)), forged()):
        collector.add(text)
    with pytest.raises(DamagedInput, match="do not fit together") as damaged:
        collector.passphrase()
    assert "finds out which" in damaged.value.hint
