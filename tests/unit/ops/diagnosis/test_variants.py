"""What another keyboard would have typed."""

from __future__ import annotations

from luksafe.ops.diagnosis.variants import variants
from luksafe.secret import SecretBytes


def found(text: str | bytes) -> dict[bytes, str]:
    data = text.encode() if isinstance(text, str) else text
    return {secret.reveal(): words for words, secret in variants(SecretBytes(data))}


def test_caps_lock_and_newlines() -> None:
    assert found("Secret")[b"sECRET"] == "with caps lock on"
    assert found("secret\n")[b"secret"] == "without the newline at its end"
    assert b"secret\n" in found("secret")


def test_keyboard_layouts() -> None:
    assert b"zebra-" in found("yebra-") or b"zebra-" in found("yebra/")
    assert found("azerty")[b"qwerty"] == "typed on a French keyboard set to US"
    assert b"azertz" in found("qwertz") or b"azerty" in found("qwerty")


def test_encodings() -> None:
    assert "Stra\u00dfe".encode("latin-1") in found("Stra\u00dfe")
    assert "u\u0308ber".encode() in found("\u00fcber")
    assert "\u00fcber".encode() in found("u\u0308ber")


def test_bounded_distinct_and_never_the_passphrase_itself() -> None:
    for text in ("", "x", "P\u00e4ssw\u00f6rt yZ'#", "a" * 512):
        all_of_them = found(text)
        assert text.encode() not in all_of_them
        assert len(all_of_them) == len(list(variants(SecretBytes(text.encode()))))
        assert len(all_of_them) <= 24


def test_bytes_that_are_no_text_have_few() -> None:
    assert set(found(b"\xff\xfe\n")) == {b"\xff\xfe", b"\xff\xfe\n\n"}
