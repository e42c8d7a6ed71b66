from __future__ import annotations

import base64
import random

import pytest

from luksafe.paper import alphabet

# Valid Bech32m strings of BIP-350, with the human-readable part that we do not have.
BIP350 = (
    "A1LQFN3A",
    "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6",
    "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
    "split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
)


@pytest.mark.parametrize("string", BIP350)
def test_the_check_is_that_of_bip350(string: str) -> None:
    prefix, _, data = string.lower().rpartition("1")
    word = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + alphabet.values(data.upper())
    assert alphabet.syndrome(word) == 0
    assert alphabet.check(word[:-6]) == data[-6:].upper()
    assert alphabet.syndrome([*word[:-1], word[-1] ^ 1]) != 0


def test_symbols_are_base32_with_other_letters() -> None:
    data = random.Random(1).randbytes(20)
    assert (
        alphabet.encode(data).translate(str.maketrans(alphabet.SYMBOLS, alphabet.BASE32))
        == base64.b32encode(data).decode()
    )
    assert alphabet.decode(alphabet.encode(data)) == data


def test_what_looks_alike_is_the_same() -> None:
    assert alphabet.read_look_alikes(alphabet.squeeze(" o0-b8 i1.Ll\t")) == "0088LLLL"


def test_no_symbol_looks_like_another_letter_that_is_missing() -> None:
    assert set("OBI1").isdisjoint(alphabet.SYMBOLS)
    assert len(set(alphabet.SYMBOLS)) == 32
    assert alphabet.strange("QO?P") == [1, 2]


def test_symbols_are_printable_in_alphanumeric_qr_codes() -> None:
    assert set(alphabet.SYMBOLS) <= set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
