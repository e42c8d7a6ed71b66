"""Canaries: parameters that are not the volume's are noticed and named."""

from __future__ import annotations

import hashlib

import escrow_samples as samples
import pytest

from luksafe.crypto.sectors import sector_cipher
from luksafe.errors import DamagedInput, Unsupported
from luksafe.escrow.canary import IV_NUMBER, Canary, CipherParameters, check_canary, make_canary
from luksafe.secret import SecretBytes

KEY = SecretBytes(samples.KEY)
RIGHT = CipherParameters("aes-xts-plain64", 4096, 2048)
CANARY = make_canary(RIGHT, KEY)


def test_what_it_is() -> None:
    cipher = sector_cipher("aes-xts-plain64", KEY, sector_size=4096)
    ciphertext = cipher.encrypt(b"luksafe canary, " * 256, 2**33 + 4096 + 2048)
    assert Canary(IV_NUMBER, hashlib.sha256(ciphertext).hexdigest()) == CANARY
    assert Canary.from_json(CANARY.to_json()) == CANARY


def test_right_parameters_fit() -> None:
    verdict = check_canary(CANARY, RIGHT, KEY)
    assert verdict.fits
    assert verdict.misfits == ()


@pytest.mark.parametrize(
    ("made", "tried", "misfits"),
    [
        (RIGHT, CipherParameters("aes-xts-plain64", 512, 2048), ("sector_size",)),
        (RIGHT, CipherParameters("aes-xts-plain", 4096, 2048), ("encryption",)),
        (RIGHT, CipherParameters("aes-xts-plain", 512, 2048), ("sector_size", "encryption")),
        (CipherParameters("aes-xts-plain64"), CipherParameters("aes-xts-plain64", 512, 8), ("iv_tweak",)),
        (
            CipherParameters("aes-cbc-essiv:sha256"),
            CipherParameters("aes-cbc-plain64", 4096, 8),
            ("sector_size", "iv_tweak", "encryption"),
        ),
    ],
    ids=str,
)
def test_wrong_parameters_are_named(made: CipherParameters, tried: CipherParameters, misfits: tuple[str, ...]) -> None:
    key = SecretBytes(samples.KEY[:32]) if "cbc" in made.encryption else KEY
    verdict = check_canary(make_canary(made, key), tried, key)
    assert not verdict.fits
    assert verdict.misfits == misfits
    assert verdict.right == made


def test_another_key_fits_nothing() -> None:
    verdict = check_canary(CANARY, RIGHT, SecretBytes(bytes(64)))
    assert (verdict.fits, verdict.misfits, verdict.right) == (False, (), None)


def test_no_canary_without_a_plain_cipher() -> None:
    assert CipherParameters.of(samples.volume(iv_tweak="8")) == CipherParameters("aes-xts-plain64", 512, 8)
    with pytest.raises(Unsupported):
        CipherParameters.of(samples.volume(integrity={"type": "hmac(sha256)"}))
    with pytest.raises(Unsupported):
        CipherParameters.of(samples.volume(type="linear"))
    with pytest.raises(DamagedInput):
        make_canary(RIGHT, SecretBytes(b"short"))
