"""A header may ask for much work in each of 32 keyslots: what is too much in sum is refused before any of it starts."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from generators.headers import PASSPHRASE, document_of, luks2_image, with_document

from luksafe.crypto.kdf import KdfLimits, pbkdf2
from luksafe.errors import KeyRejected, Refused
from luksafe.luks.inspection import inspect
from luksafe.luks.unlock import unlock
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes

WRONG = SecretBytes(b"wrong")


def many_keyslots(count: int, kdf: dict[str, object], digest_iterations: int = 1000) -> bytes:
    image = luks2_image()

    def change(document):
        slot = {**document["keyslots"]["0"], "kdf": {"salt": "c2FsdHNhbHQ=", **kdf}}
        size = int(slot["area"]["size"])
        for number in range(count):
            area = {**slot["area"], "offset": str(32768 + number * size)}
            document["keyslots"][str(number)] = {**slot, "area": area}
        document["digests"]["0"]["keyslots"] = [str(number) for number in range(count)]
        document["digests"]["0"]["iterations"] = digest_iterations
        document["segments"]["0"]["offset"] = str(64 << 20)
        document["config"]["keyslots_size"] = str(32 << 20)

    return with_document(image, change) + bytes(64 << 20)


PBKDF2 = {"type": "pbkdf2", "hash": "sha256", "iterations": 1000}
ARGON2 = {"type": "argon2id", "time": 4, "memory": 64, "cpus": 1}


@pytest.mark.parametrize(
    ("kdf", "digest", "limits", "words"),
    [
        (PBKDF2, 1000, KdfLimits(iterations=1500), "20 keyslots .* 40000 PBKDF2 iterations in all"),
        (PBKDF2, 1, KdfLimits(iterations=1000), "20 keyslots .* 20020 PBKDF2 iterations in all"),
        (ARGON2, 1000, KdfLimits(time_cost=0.001), "20 keyslots .* Argon2 passes .* in all"),
    ],
)
def test_the_sum_over_all_keyslots_is_refused_before_it_starts(kdf, digest, limits, words, monkeypatch):
    reader = BytesReader(many_keyslots(20, kdf, digest))
    header = inspect(reader).require_header()
    monkeypatch.setattr("luksafe.luks.unlock.open_keyslot", lambda *_: pytest.fail("it started"))
    with pytest.raises(Refused, match=words) as refused:
        unlock(reader, header, WRONG, limits=limits)
    assert "--max-kdf-" in refused.value.hint and "--key-slot" in refused.value.hint


def test_one_named_keyslot_has_its_own_budget():
    reader = BytesReader(many_keyslots(20, PBKDF2))
    with pytest.raises(KeyRejected):
        unlock(reader, inspect(reader).require_header(), WRONG, keyslot=3, limits=KdfLimits(iterations=1500))


def test_long_work_is_told_before_it_starts(monkeypatch):
    told = []
    reader = BytesReader(many_keyslots(30, {**PBKDF2, "iterations": 20_000_000}))
    monkeypatch.setattr("luksafe.luks.unlock.open_keyslot", lambda *_: pytest.fail("not told") if not told else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        unlock(reader, inspect(reader).require_header(), WRONG, limits=KdfLimits(tell=told.append))
    assert told == [
        "trying the key may take about 7 min: its 30 keyslots ask for 600030000 PBKDF2 iterations; Ctrl-C stops it"
    ]


def test_a_usual_header_is_opened_without_a_word():
    told = []
    reader = BytesReader(luks2_image())
    header = inspect(reader).require_header()
    unlock(reader, header, SecretBytes(PASSPHRASE), limits=KdfLimits(tell=told.append))
    assert not told
    assert document_of(luks2_image())


def test_an_interrupt_ends_a_long_derivation_at_once():
    threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        pbkdf2("sha256", SecretBytes(b"x"), b"saltsalt", 20_000_000, 32)
    assert time.monotonic() - begun < 4
