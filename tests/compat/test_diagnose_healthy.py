"""No false alarm: two hundred healthy headers of all kinds, ours and cryptsetup's, and healthy things without LUKS."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from compat.probe.probe_images import ENVIRONMENT, MAKERS, MIB, make, run
from generators.headers import CHEAP_ARGON2, CHEAP_PBKDF2, seeded_bytes

from luksafe.luks.create import KdfChoice, Parameters, create_header
from luksafe.luks.finding import Severity
from luksafe.ops.diagnosis.facts import gather
from luksafe.ops.diagnosis.judge import diagnose
from luksafe.ops.diagnosis.model import Diagnosis, State
from luksafe.ops.target import open_target
from luksafe.ops.workspace import Workspace
from luksafe.secret import SecretBytes

CIPHERS = (
    *(("aes-xts-plain64", 64), ("aes-xts-plain64", 32), ("aes-cbc-essiv:sha256", 32), ("aes-cbc-plain64", 16)),
    *(("aes-cbc-essiv:sha256", 16), ("aes-xts-plain", 64)),
)
KDFS = (CHEAP_PBKDF2, CHEAP_ARGON2, KdfChoice("argon2i", time=1, memory_kib=64, cpus=2))
FILLINGS = ("random", "zeros", "mixed")
OURS = range(176)


def look(path: Path, folder: Path) -> Diagnosis:
    workspace = Workspace(folder / "no-vault", state_folder=folder / "state")
    with open_target(workspace, str(path)) as target:
        return diagnose(gather(workspace, target))


def assert_no_alarm(diagnosis: Diagnosis) -> None:
    assert diagnosis.verdict.value == "healthy", diagnosis.summary
    assert not diagnosis.overwritten_by
    assert not [f for f in diagnosis.findings if f.severity is not Severity.INFO]
    assert {part.state for part in diagnosis.parts} <= {State.INTACT, State.UNKNOWN, State.INACTIVE}
    assert not any(part.damage for part in diagnosis.parts)


def our_volume(seed: int) -> bytes:
    """A header of our own making with everything drawn by chance, unused space filled as other tools do or not."""
    draw = random.Random(seed)
    encryption, key_size = draw.choice(CIPHERS)
    luks1 = seed % 3 == 0
    offset = draw.choice((2, 4, 16)) * MIB
    parameters = Parameters(
        "luks1" if luks1 else "luks2",
        f"{draw.getrandbits(32):08x}-0000-4000-8000-{draw.getrandbits(48):012x}",
        encryption,
        offset,
    )
    if not luks1:
        changes: dict[str, Any] = {
            "label": draw.choice(("", "data", "ünï")),
            "seqid": draw.randrange(1, 1 << 40),
            "header_size": draw.choice((16384, 32768, 65536, 131072)),
            "sector_size": draw.choice((512, 1024, 4096)),
            "flags": draw.choice(((), ("allow-discards",))),
        }
        parameters = replace(parameters, **changes)
    kdf = CHEAP_PBKDF2 if luks1 else draw.choice(KDFS)
    slot = draw.randrange(8)
    secret, phrase = SecretBytes(draw.randbytes(key_size)), SecretBytes(draw.randbytes(12))
    header = create_header(parameters, secret, phrase, kdf, seeded_bytes(seed), slot)
    data = {"random": draw.randbytes(MIB), "zeros": bytes(MIB), "mixed": draw.randbytes(MIB // 2) + bytes(MIB // 2)}
    return header.ljust(offset, b"\0") + data[draw.choice(FILLINGS)]


@pytest.mark.slow
@pytest.mark.parametrize("group", range(0, len(OURS), 22))
def test_headers_of_our_own_raise_no_alarm(group: int, tmp_path: Path) -> None:
    for seed in OURS[group : group + 22]:
        path = tmp_path / f"{seed}.img"
        path.write_bytes(our_volume(seed))
        assert_no_alarm(look(path, tmp_path))
        path.unlink()


def cryptsetup_commands() -> Iterator[tuple[str, ...]]:
    """Formats as people use them: types, key derivations, ciphers, sector and header sizes."""
    for key_bits in ("128", "256", "512"):
        yield ("--type", "luks1", "--key-size", "256" if key_bits == "128" else key_bits)
        yield ("--type", "luks2", "--key-size", "256" if key_bits == "128" else key_bits, "--sector-size", "512")
        yield ("--type", "luks2", "--cipher", "aes-cbc-essiv:sha256", "--key-size", key_bits.replace("512", "256"))
    for size in ("16k", "64k", "1m", "4m"):
        yield ("--type", "luks2", "--luks2-metadata-size", size)
    for number, name in (("1", "argon2id"), ("2", "argon2i")):
        yield ("--type", "luks2", "--pbkdf", name, "--pbkdf-memory", "32", "--pbkdf-parallel", number)
    for label in ("x", "a longer label of a volume"):
        yield ("--type", "luks2", "--label", label, "--subsystem", "test")
    for hash_name in ("sha1", "sha512", "ripemd160"):
        yield ("--type", "luks1", "--hash", hash_name)
    yield ("--type", "luks1", "--align-payload", "8")
    yield ("--type", "luks2", "--offset", "65536")
    yield ("--type", "luks2", "--key-slot", "31")
    yield ("--type", "luks1", "--key-slot", "7")


COMMANDS = list(cryptsetup_commands())


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(COMMANDS)))
def test_headers_of_cryptsetup_raise_no_alarm(number: int, tmp_path: Path) -> None:
    if shutil.which("cryptsetup", path=ENVIRONMENT["PATH"]) is None:
        pytest.skip("cryptsetup is not installed")
    path = tmp_path / "disk.img"
    path.write_bytes(random.Random(number).randbytes(40 * MIB))
    words = COMMANDS[number]
    cost = ("--pbkdf-force-iterations", "4" if "--pbkdf" in words else "1000")
    kdf = () if "--pbkdf" in words or "luks1" in words else ("--pbkdf", "pbkdf2")
    run(("cryptsetup", "-q", "luksFormat", *cost, *kdf, *words, "IMG", "-"), path, "key")
    assert_no_alarm(look(path, tmp_path))


@pytest.mark.parametrize("maker_id", ["fat16", "exfat", "ntfs", "ext4", "btrfs", "swap-4k", "gpt", "dos"])
def test_what_is_no_luks_is_called_so(maker_id: str, tmp_path: Path) -> None:
    maker = next(maker for maker in MAKERS if maker.id == maker_id)
    diagnosis = look(make(maker, tmp_path / "image"), tmp_path)
    assert diagnosis.verdict.value == "not-luks", diagnosis.summary
    assert diagnosis.overwritten_by == (maker.name,)


@pytest.mark.parametrize(
    "data", [b"", b"x", bytes(4096), bytes(MIB), b"text\n" * 99999, random.Random(1).randbytes(MIB)]
)
def test_plain_bytes_are_no_luks(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert look(path, tmp_path).verdict.value == "not-luks"


def test_there_are_two_hundred() -> None:
    assert len(OURS) + len(COMMANDS) >= 200
