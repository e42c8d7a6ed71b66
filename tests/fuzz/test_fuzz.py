"""Every fuzz target without atheris: its seeds, seeds with random damage, and each input that was once a finding."""

from __future__ import annotations

import random

import pytest
from fuzz.targets import SEEDS, TARGETS
from hypothesis import given, settings
from hypothesis import strategies as st

FOUND = [
    ("cipher", "an IV with a colon in its name", b"capi:xts(aes)-ess::::iv:qha256"),
    ("cipher", "a cipher with a dash in its name was spelled as two words", b"capi:cbc(ecb-aes-aesni)-plain64"),
]
"""What fuzzing found: the target, what was wrong, the input."""


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds(name):
    for seed in SEEDS[name]:
        TARGETS[name](seed)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), junk=st.binary(max_size=40))
def test_damaged_seeds(name, seed, junk):
    rng = random.Random(seed)
    data = bytearray(rng.choice(SEEDS[name]))
    for _ in range(rng.randrange(8)):
        at = rng.randrange(len(data))
        data[at : at + rng.randrange(3)] = rng.choice([junk, rng.randbytes(1), b"0", b'"', b"99999999999999999999"])
        data = data or bytearray(b"0")
    TARGETS[name](bytes(data))


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=40)
@given(data=st.binary(max_size=400))
def test_any_bytes(name, data):
    TARGETS[name](data)


@pytest.mark.parametrize(("name", "what", "data"), FOUND, ids=[what for _, what, _ in FOUND])
def test_what_fuzzing_found(name, what, data):
    TARGETS[name](data)
