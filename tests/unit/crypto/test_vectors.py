"""Published vectors of the modes, through the small path."""

from __future__ import annotations

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from luksafe.crypto.chacha import xchacha_streams
from luksafe.crypto.lrw import Lrw
from luksafe.crypto.modes import Cbc, Ctr, Ecb, Mode, Pcbc
from luksafe.crypto.provider import block_cipher
from luksafe.crypto.sectors import sector_cipher
from luksafe.secret import SecretBytes

XTS_4_CIPHERTEXT = bytes.fromhex(
    """
    27a7479befa1d476489f308cd4cfa6e2a96e4bbe3208ff25287dd3819616e89cc78cf7f5e543445f8333d8fa7f560000
    05279fa5d8b5e4ad40e736ddb4d35412328063fd2aab53e5ea1e0a9f332500a5df9487d07a5c92cc512c8866c7e860ce
    93fdf166a24912b422976146ae20ce846bb7dc9ba94a767aaef20c0d61ad02655ea92dc4c4e41a8952c651d33174be51
    a10c421110e6d81588ede82103a252d8a750e8768defffed9122810aaeb99f9172af82b604dc4b8e51bcb08235a6f434
    1332e4ca60482a4ba1a03b3e65008fc5da76b70bf1690db4eae29c5f1badd03c5ccf2a55d705ddcd86d449511ceb7ec3
    0bf12b1fa35b913f9f747a8afd1b130e94bff94effd01a91735ca1726acd0b197c4e5b03393697e126826fb6bbde8ecc
    1e08298516e2c9ed03ff3c1b7860f6de76d4cecd94c8119855ef5297ca67e9f3e7ff72b1e99785ca0a7e7720c5b36dc6
    d72cac9574c8cbbc2f801e23e56fd344b07f22154beba0f08ce8891e643ed995c94d9a69c9f1b5f499027a78572aeebd
    74d20cc39881c213ee770b1010e4bea718846977ae119f7a023ab58cca0ad752afe656bb3c17256a9f6e9bf19fdd5a38
    fc82bbe872c5539edb609ef4f79c203ebb140f2e583cb2ad15b4aa5b655016a8449277dbd477ef2c8d6c017db738b18d
    eb4a427d1923ce3ff262735779a418f20a282df920147beabe421ee5319d0568
    """
)


def test_xts_vector_4_of_ieee_1619() -> None:
    key = SecretBytes(bytes.fromhex("2718281828459045235360287471352631415926535897932384626433832795"))
    plaintext = bytes(range(256)) * 2
    cipher = sector_cipher("aes-xts-plain64", key)
    assert cipher.encrypt(plaintext, 0) == XTS_4_CIPHERTEXT
    assert cipher.decrypt(XTS_4_CIPHERTEXT, 0) == plaintext


NIST_KEY = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
NIST_PLAINTEXT = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)


@pytest.mark.parametrize(
    ("mode", "iv", "ciphertext"),
    [
        (
            Ecb,
            "",
            "f3eed1bdb5d2a03c064b5a7e3db181f8591ccb10d410ed26dc5ba74a31362870"
            "b6ed21b99ca6f4f9f153e7b1beafed1d23304b7a39f9f3ff067d8d8f9e24ecc7",
        ),
        (
            Cbc,
            "000102030405060708090a0b0c0d0e0f",
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
            "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b",
        ),
        (
            Ctr,
            "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
            "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
            "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6",
        ),
    ],
    ids=["ecb", "cbc", "ctr"],
)
def test_aes_256_of_nist_sp_800_38a(mode: type[Ecb] | type[Cbc] | type[Ctr], iv: str, ciphertext: str) -> None:
    cipher: Mode = mode(block_cipher("aes", NIST_KEY))
    # Twice side by side, to see that a sector does not touch the next.
    plaintext, ivs, expected = NIST_PLAINTEXT * 2, bytes.fromhex(iv) * 2, bytes.fromhex(ciphertext) * 2
    assert cipher.encrypt(plaintext, ivs, 64) == expected
    assert cipher.decrypt(expected, ivs, 64) == plaintext


def test_pcbc_is_what_its_definition_says() -> None:
    aes = block_cipher("aes", NIST_KEY)
    iv = bytes(range(16))
    chain, expected = iv, b""
    for at in range(0, 64, 16):
        block = NIST_PLAINTEXT[at : at + 16]
        out = aes.encrypt(bytes(a ^ b for a, b in zip(block, chain)))
        chain = bytes(a ^ b for a, b in zip(block, out))
        expected += out
    assert Pcbc(aes).encrypt(NIST_PLAINTEXT, iv, 64) == expected
    assert Pcbc(aes).decrypt(expected, iv, 64) == NIST_PLAINTEXT


@pytest.mark.parametrize(
    ("key", "iv", "ciphertext"),
    [
        (
            "4562ac25f828176d4c268414b5680185258e2a05e73e9d03ee5a830ccc094c87",
            "00000000000000000000000000000001",
            "f1b273cd65a3df5fe95d489254634eb8",
        ),
        (
            "59704714f557478cd779e80f548879440d48f0b7b15a53ea1caa6b29c2cafbaf",
            "00000000000000000000000000000002",
            "00c82bae95bbcde5274f0769b260e136",
        ),
    ],
)
def test_lrw_of_the_p1619_draft(key: str, iv: str, ciphertext: str) -> None:
    raw = bytes.fromhex(key)
    lrw = Lrw(block_cipher("aes", raw[:-16]), raw[-16:])
    assert lrw.encrypt(b"0123456789ABCDEF", bytes.fromhex(iv), 16).hex() == ciphertext
    assert lrw.decrypt(bytes.fromhex(ciphertext), bytes.fromhex(iv), 16) == b"0123456789ABCDEF"


def test_lrw_counts_block_by_block_even_past_the_end() -> None:
    lrw = Lrw(block_cipher("aes", bytes(range(16))), bytes(range(200, 216)))
    first = 2**128 - 20
    whole = lrw.encrypt(bytes(512), first.to_bytes(16, "big"), 512)
    numbers = [((first + i) % 2**128).to_bytes(16, "big") for i in range(32)]
    assert whole == b"".join(lrw.encrypt(bytes(16), number, 16) for number in numbers)


def test_xchacha20_of_the_draft() -> None:
    """draft-irtf-cfrg-xchacha, appendix A.3.2: key, nonce and the first block of its keystream."""
    nonce = np.frombuffer(bytes.fromhex("404142434445464748494a4b4c4d4e4f5051525354555658"), np.uint8)
    plaintext = b'The dhole (pronounced "dole") is also know'
    stream = xchacha_streams(bytes(range(0x80, 0xA0)), nonce.reshape(1, 24), len(plaintext), 20)[0]
    ciphertext = bytes(a ^ b for a, b in zip(plaintext, stream.tobytes()))
    assert ciphertext[:32].hex() == "4559abba4e48c16102e8bb2c05e6947f50a786de162f9b0b7e592a9b53d0d4e9"


def test_the_stream_after_the_subkey_is_chacha20() -> None:
    """HChaCha is ChaCha's block without the final addition; the rest can be checked against OpenSSL."""
    key, nonces = bytes(range(32)), np.arange(72, dtype=np.uint8).reshape(3, 24)
    streams = xchacha_streams(key, nonces, 4080, 20)
    for nonce, stream in zip(nonces, streams):
        block = Cipher(algorithms.ChaCha20(key, nonce[:16].tobytes()), None).encryptor().update(bytes(64))
        words = np.frombuffer(block, "<u4").copy()
        words[:4] -= np.frombuffer(b"expand 32-byte k", "<u4")
        words[12:] -= nonce[:16].view("<u4")
        subkey = words[:4].tobytes() + words[12:].tobytes()
        openssl = Cipher(algorithms.ChaCha20(subkey, bytes(8) + nonce[16:].tobytes()), None).encryptor()
        assert stream.tobytes() == openssl.update(bytes(4080))
