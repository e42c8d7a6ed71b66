"""Cipher specifications are read as cryptsetup and dm-crypt read them."""

from __future__ import annotations

import pytest

from luksafe.crypto.spec import CipherSpec
from luksafe.errors import Unsupported


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("aes-xts-plain64", CipherSpec("aes", "xts", "plain64")),
        ("aes-cbc-essiv:sha256", CipherSpec("aes", "cbc", "essiv", "sha256")),
        ("aes-xts-essiv:wp256", CipherSpec("aes", "xts", "essiv", "wp256")),
        ("aes-lrw-benbi", CipherSpec("aes", "lrw", "benbi")),
        ("aes-ecb", CipherSpec("aes", "ecb")),
        ("aes-ecb-plain", CipherSpec("aes", "ecb", "plain")),
        ("aes", CipherSpec("aes", "cbc", "plain")),
        ("aes-plain", CipherSpec("aes", "cbc", "plain")),
        ("null", CipherSpec("cipher_null", "ecb")),
        ("cipher_null", CipherSpec("cipher_null", "ecb")),
        ("cipher_null-ecb", CipherSpec("cipher_null", "ecb")),
        ("xchacha20,aes-adiantum-plain64", CipherSpec("xchacha20,aes", "adiantum", "plain64")),
        ("chacha20-random", CipherSpec("chacha20", "random")),
        ("aes-gcm-random", CipherSpec("aes", "gcm", "random")),
        ("aes:64-cbc-lmk", CipherSpec("aes", "cbc", "lmk", key_count=64)),
        ("aes-xxx-plain64", CipherSpec("aes", "xxx", "plain64")),
        ("capi:xts(aes)-plain64", CipherSpec("aes", "xts", "plain64")),
        ("capi:cbc(aes)-essiv:sha256", CipherSpec("aes", "cbc", "essiv", "sha256")),
        ("capi:cbc(aes)-essiv:sha3-256", CipherSpec("aes", "cbc", "essiv", "sha3-256")),
        ("capi:ecb(aes)", CipherSpec("aes", "ecb")),
        ("capi:xts(ecb-aes-aesni)-plain64", CipherSpec("ecb-aes-aesni", "xts", "plain64")),
        ("capi:adiantum(xchacha12,aes)-plain64", CipherSpec("xchacha12,aes", "adiantum", "plain64")),
    ],
)
def test_parse(text: str, spec: CipherSpec) -> None:
    assert CipherSpec.parse(text) == spec


@pytest.mark.parametrize(
    "text",
    [
        "aes-xts-plain64",
        "aes-cbc-essiv:sha256",
        "aes-ecb",
        "cipher_null-ecb",
        "aes:64-cbc-lmk",
        "chacha20-random",
        "capi:xts(ecb-aes-aesni)-plain64",
    ],
)
def test_str_is_the_spelling_it_was_read_from(text: str) -> None:
    assert str(CipherSpec.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "names no cipher"),
        ("-xts-plain64", "names no cipher"),
        ("aes-xts", "needs an IV"),
        ("aes-cbc", "needs an IV"),
        ("aes-cbc-essiv", "needs a hash"),
        ("aes-cbc-essiv:", "needs a hash"),
        ("aes:0-cbc-lmk", "number of keys"),
        ("aes:x-cbc-lmk", "number of keys"),
        ("aes-xts-\x1b[2J", "names no cipher"),
        ("aës-xts-plain64", "names no cipher"),
        ("capi:authenc(hmac(sha256),xts(aes))-random", "crypto API"),
        ("capi:", "crypto API"),
        ("capi:xts(aes)", "needs an IV"),
    ],
)
def test_what_dm_crypt_refuses(text: str, why: str) -> None:
    with pytest.raises(Unsupported, match=why):
        CipherSpec.parse(text)
