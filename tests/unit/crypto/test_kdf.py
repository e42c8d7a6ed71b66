"""Key derivation: published vectors, other libraries as oracles, and bounds on what a header may ask for."""

from __future__ import annotations

import hashlib
import hmac
import subprocess
import sys
from typing import Literal

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.kdf.argon2 import Argon2i, Argon2id

from luksafe.crypto import kdf
from luksafe.crypto.hashes import known_hashes, new_hash
from luksafe.crypto.kdf import KdfLimits, argon2, pbkdf2
from luksafe.crypto.providers import gcrypt, openssl_kdf
from luksafe.errors import DamagedInput, Refused, Unsupported
from luksafe.secret import SecretBytes

SALT = bytes(range(32))
needs_gcrypt = pytest.mark.skipif(gcrypt.library() is None, reason="libgcrypt is not installed")


@pytest.mark.parametrize(
    ("hash_name", "passphrase", "salt", "iterations", "derived"),
    [
        ("sha1", b"password", b"salt", 1, "0c60c80f961f0e71f3a9b524af6012062fe037a6"),
        ("sha1", b"password", b"salt", 4096, "4b007901b765489abead49d926f721d065a429c1"),
        (
            "sha1",
            b"passwordPASSWORDpassword",
            b"saltSALTsaltSALTsaltSALTsaltSALTsalt",
            4096,
            "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038",
        ),
        ("sha1", b"pass\0word", b"sa\0lt", 4096, "56fa6aa75548099dcc37d7f03425e0c3"),
        (
            "sha256",
            b"passwd",
            b"salt",
            1,
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
            "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
        ),
    ],
)
def test_pbkdf2_of_rfc_6070_and_7914(
    hash_name: str, passphrase: bytes, salt: bytes, iterations: int, derived: str
) -> None:
    key = pbkdf2(hash_name, SecretBytes(passphrase), salt, iterations, len(derived) // 2)
    assert key.reveal().hex() == derived


def pbkdf2_by_hand(hash_name: str, passphrase: bytes, salt: bytes, iterations: int, length: int) -> bytes:
    factory = new_hash(hash_name)
    block_size = {"blake2b": 128, "sha384": 128, "sha512": 128}.get(hash_name.split("-")[0], 64)
    block_size = {"sha3-224": 144, "sha3-256": 136, "sha3-384": 104, "sha3-512": 72}.get(hash_name, block_size)
    padded = (passphrase if len(passphrase) <= block_size else factory(passphrase).digest()).ljust(block_size, b"\0")
    inner, outer = bytes(b ^ 0x36 for b in padded), bytes(b ^ 0x5C for b in padded)

    def mac(data: bytes) -> bytes:
        return factory(outer + factory(inner + data).digest()).digest()

    out, number = b"", 1
    while len(out) < length:
        last = mac(salt + number.to_bytes(4, "big"))
        total = int.from_bytes(last, "big")
        for _ in range(iterations - 1):
            last = mac(last)
            total ^= int.from_bytes(last, "big")
        out += total.to_bytes(len(last), "big")
        number += 1
    return out[:length]


@needs_gcrypt
@pytest.mark.parametrize("hash_name", known_hashes())
@pytest.mark.parametrize("passphrase", [b"", b"pass", b"x" * 200], ids=["empty", "short", "long"])
def test_pbkdf2_with_every_hash(hash_name: str, passphrase: bytes) -> None:
    assert pbkdf2(hash_name, SecretBytes(passphrase), SALT, 3, 100).reveal() == pbkdf2_by_hand(
        hash_name, passphrase, SALT, 3, 100
    )


@needs_gcrypt
def test_the_three_libraries_agree() -> None:
    passphrase = memoryview(b"passphrase")
    derived = [
        derive("sha512", passphrase, SALT, 1000, 64)
        for derive in (kdf._pbkdf2_openssl, kdf._pbkdf2_hashlib, kdf._pbkdf2_gcrypt)
    ]
    assert derived[0] == derived[1] == derived[2] == hashlib.pbkdf2_hmac("sha512", passphrase, SALT, 1000, 64)


def test_an_openssl_without_a_hash_leaves_it_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise UnsupportedAlgorithm("no")

    expected = pbkdf2("sha256", SecretBytes(b"p"), SALT, 10, 32)
    monkeypatch.setattr(openssl_kdf, "PBKDF2HMAC", unsupported)
    assert pbkdf2("sha256", SecretBytes(b"p"), SALT, 10, 32) == expected


def test_no_library_with_hmac_of_a_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcrypt, "library", lambda: None)
    with pytest.raises(Unsupported, match="blake2b-256") as caught:
        pbkdf2("blake2b-256", SecretBytes(b"p"), SALT, 10, 32)
    assert "libgcrypt20" in caught.value.hint


@pytest.mark.parametrize(("iterations", "length"), [(0, 32), (-1, 32), (2**31, 32), (1000, 0), (1000, 10**9)])
def test_pbkdf2_that_no_keyslot_has(iterations: int, length: int) -> None:
    with pytest.raises(DamagedInput):
        pbkdf2("sha256", SecretBytes(b"p"), SALT, iterations, length, KdfLimits(iterations=2**40))


def test_pbkdf2_beyond_the_limit_names_the_option() -> None:
    with pytest.raises(Refused) as caught:
        pbkdf2("sha256", SecretBytes(b"p"), SALT, 4_000_000_000, 32)
    assert "--max-kdf-iterations 4000000000" in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "derived"),
    [
        ("argon2i", "c1628832147d9720c5bd1cfd61367078729f6dfb6f8fea9ff98158e0d7816ed0"),
        ("argon2id", "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"),
    ],
)
def test_argon2_of_the_reference_implementation(kind: Literal["argon2i", "argon2id"], derived: str) -> None:
    key = argon2(kind, SecretBytes(b"password"), b"somesalt", time=2, memory_kib=65536, lanes=1, length=32)
    assert key.reveal().hex() == derived


@pytest.mark.parametrize("kind", ["argon2i", "argon2id"])
@pytest.mark.parametrize(
    ("passphrase", "time", "memory_kib", "lanes", "length"),
    [(b"", 1, 8, 1, 4), (b"p", 4, 32, 4, 64), (b"p" * 600, 3, 100, 3, 33), (b"\0\xff", 1, 520, 64, 512)],
)
def test_argon2_against_openssl(
    kind: Literal["argon2i", "argon2id"], passphrase: bytes, time: int, memory_kib: int, lanes: int, length: int
) -> None:
    ours = argon2(kind, SecretBytes(passphrase), SALT, time=time, memory_kib=memory_kib, lanes=lanes, length=length)
    theirs = (Argon2i if kind == "argon2i" else Argon2id)(
        salt=SALT, length=length, iterations=time, lanes=lanes, memory_cost=memory_kib
    )
    assert ours.reveal() == theirs.derive(passphrase)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"time": 0}, "0 passes"),
        ({"time": 2**32}, "passes"),
        ({"lanes": 0}, "0 lanes"),
        ({"lanes": 65, "memory_kib": 1024}, "65 lanes"),
        ({"memory_kib": 31}, "31 KiB of memory for 4 lanes"),
        ({"memory_kib": 2**32}, "KiB of memory"),
        ({"salt": b"1234567"}, "salt of 7 bytes"),
        ({"length": 3}, "3 bytes of output"),
        ({"length": 10**6}, "bytes of output"),
    ],
)
def test_argon2_that_no_keyslot_has(change: dict[str, int | bytes], what: str) -> None:
    arguments = {"salt": SALT, "time": 1, "memory_kib": 64, "lanes": 4, "length": 32, **change}
    with pytest.raises(DamagedInput, match=what):
        argon2("argon2id", SecretBytes(b"p"), **arguments)  # type: ignore[arg-type]


def test_argon2_beyond_a_limit_names_the_option() -> None:
    arguments = {"salt": SALT, "lanes": 1, "length": 32}
    with pytest.raises(Refused) as caught:
        argon2("argon2id", SecretBytes(b"p"), time=1, memory_kib=5 << 20, **arguments)  # type: ignore[arg-type]
    assert f"--max-kdf-memory {5 << 20}" in caught.value.hint
    with pytest.raises(Refused) as caught:
        argon2("argon2id", SecretBytes(b"p"), time=1025, memory_kib=1 << 20, **arguments)  # type: ignore[arg-type]
    assert "--max-kdf-time 1025" in caught.value.hint


def test_defaults_take_what_cryptsetup_formats() -> None:
    limits = KdfLimits()
    limits.check_argon2(time=4, memory_kib=4 << 20)
    limits.check_argon2(time=100_000, memory_kib=32)
    limits.check_pbkdf2(500_000_000)


def test_memory_that_the_machine_has_not() -> None:
    limits = KdfLimits(available_memory_kib=100)
    with pytest.raises(Unsupported, match="512 MiB") as caught:
        argon2("argon2i", SecretBytes(b"p"), SALT, time=1, memory_kib=512 << 10, lanes=1, length=32, limits=limits)
    assert caught.value.code == "out-of-memory"


@pytest.mark.parametrize(
    ("limit_mib", "memory_kib", "lanes", "printed"),
    [(512, 1 << 20, 4, "out-of-memory"), (256, 512, 64, "unsupported argon2id failed: Threading failure")],
    ids=["memory", "stacks of threads"],
)
def test_what_a_resource_limit_denies(limit_mib: int, memory_kib: int, lanes: int, printed: str) -> None:
    program = (
        "import resource\n"
        "from luksafe.crypto.kdf import argon2\n"
        "from luksafe.crypto.providers import argon2_reference\n"
        "from luksafe.errors import Unsupported\n"
        "from luksafe.secret import SecretBytes\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({limit_mib} << 20, {limit_mib} << 20))\n"
        "try:\n"
        "    argon2('argon2id', SecretBytes(b'p'), bytes(16), time=1, length=32,\n"
        f"        memory_kib={memory_kib}, lanes={lanes})\n"
        "except Unsupported as error:\n"
        "    print(error.code, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(printed), done.stdout
    assert done.stderr == ""


def test_hmac_by_hand_is_right() -> None:
    mac = hmac.new(b"p", SALT + bytes([0, 0, 0, 1]), "sha256").digest()
    assert pbkdf2_by_hand("sha256", b"p", SALT, 1, 32) == mac
