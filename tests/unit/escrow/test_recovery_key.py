"""Recovery keys in systemd-cryptenroll's spelling."""

from __future__ import annotations

import pytest

from luksafe.errors import UsageError
from luksafe.escrow.recovery_key import is_recovery_key, make_recovery_key, read_recovery_key

ZEROS = "-".join(["cccccccc"] * 8)


def test_spelling() -> None:
    assert make_recovery_key(bytes).reveal().decode() == ZEROS
    key = make_recovery_key(lambda count: bytes(range(0x00, count * 8, 8))).reveal().decode()
    assert key.startswith("cccjbcbj-")  # 00 08 10 18
    assert is_recovery_key(key)
    assert len(key) == 71


def test_typing_is_forgiven() -> None:
    key = make_recovery_key(lambda count: bytes(range(count)))
    text = key.reveal().decode()
    for typed in (text, text.upper(), text.replace("-", " "), text.replace("-", ""), f"  {text}\n"):
        assert read_recovery_key(typed) == key


def test_typing_errors_are_named() -> None:
    with pytest.raises(UsageError, match=r"'a' cannot be in a recovery key \(letter 3 of group 2\)"):
        read_recovery_key(ZEROS[:11] + "a" + ZEROS[12:])
    with pytest.raises(UsageError, match="has 64 letters, this has 63"):
        read_recovery_key(ZEROS[:-1])


@pytest.mark.parametrize("text", ["", ZEROS.upper(), ZEROS[:-1], ZEROS + "-cccccccc", ZEROS.replace("c", "a")])
def test_other_texts_are_none(text: str) -> None:
    assert not is_recovery_key(text)
