"""Where cryptsetup puts the data of LUKS1 volumes: no such place is a fault, and only the data prove another one."""

from __future__ import annotations

import itertools
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from generators.headers import PASSPHRASE, encrypted, luks1_image, seeded_bytes

from luksafe.device.source import open_source
from luksafe.errors import Refused
from luksafe.luks.repair.effort import Effort
from luksafe.luks.repair.proposal import Evidence, Outcome
from luksafe.luks.repair.volume import propose_repair
from luksafe.ops.diagnosis.facts import gather
from luksafe.ops.diagnosis.judge import diagnose
from luksafe.ops.diagnosis.model import Verdict
from luksafe.ops.repair import RepairPlan, RepairRequest, plan_repair
from luksafe.ops.target import open_target
from luksafe.ops.workspace import Workspace
from luksafe.secret import SecretBytes

SECTORS = (384, 768, 1536, 2049, 2056, 2112, 2560, 4097, 4104, 4224, 4608, 5120)
CIPHERS = (
    ("aes-xts-plain64", 512),
    ("aes-xts-plain64", 256),
    ("aes-xts-plain", 512),
    ("aes-cbc-essiv:sha256", 256),
    ("aes-cbc-plain64", 128),
    ("aes-ecb", 256),
)
FORMAT = ("cryptsetup", "luksFormat", "-q", "--type", "luks1", "--pbkdf-force-iterations", "1000")


@pytest.fixture
def formatted(tmp_path: Path) -> Callable[..., Path]:
    if shutil.which("cryptsetup") is None:
        pytest.skip("cryptsetup is not installed")
    numbers = itertools.count()

    def make(*options: str) -> Path:
        path = tmp_path / f"{next(numbers)}.img"
        with path.open("wb") as out:
            out.truncate(24 << 20)
        subprocess.run([*FORMAT, *options, path, "-"], input=PASSPHRASE, check=True)
        return path

    return make


def workspace(folder: Path) -> Workspace:
    return Workspace(folder / "vault", state_folder=folder / "state")


def plan(image: Path, *, with_key: bool = True) -> RepairPlan:
    request = RepairRequest(passphrase=SecretBytes(PASSPHRASE) if with_key else None)
    return plan_repair(workspace(image.parent), str(image), request, Effort(10))


def with_filesystem(image: Path, sector: int) -> None:
    """Puts an ext4 filesystem into the volume of ``luks1_image``, whose data begin at this sector."""
    plain = image.parent / "plain"
    with plain.open("wb") as out:
        out.truncate(4 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", plain], check=True)
    data = random.Random(3).randbytes(2 << 20)
    header = luks1_image()[: 2 << 20]
    room = bytearray(header + data[: max(0, sector * 512 - len(header))])[: sector * 512]
    room[104:108] = sector.to_bytes(4, "big")
    image.write_bytes(bytes(room) + encrypted(plain.read_bytes()))


@pytest.mark.parametrize("sectors", SECTORS)
def test_every_alignment_that_cryptsetup_writes_is_healthy(sectors: int, formatted: Callable[..., Path]) -> None:
    image = formatted("--align-payload", str(sectors))
    with open_target(workspace(image.parent), str(image)) as target:
        report = diagnose(gather(workspace(image.parent), target))
    assert report.verdict is Verdict.HEALTHY
    planned = plan(image)
    assert (planned.outcome, planned.plan) == (Outcome(), None)


def test_healthy_volumes_of_all_kinds_are_offered_no_repair(formatted: Callable[..., Path]) -> None:
    chance = random.Random(20)
    for cipher, bits in CIPHERS:
        sectors = str(chance.choice((1, 8, 64, chance.randrange(1, 6000), chance.randrange(1, 700) * 8)))
        image = formatted("--cipher", cipher, "--key-size", str(bits), "--align-payload", sectors)
        with open_source(image) as reader:
            assert propose_repair(reader, seeded_bytes(), Effort(10)) == Outcome(), (cipher, bits, sectors)


def test_an_offset_is_changed_only_where_the_data_prove_it(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    with_filesystem(image, 4096)
    whole = bytearray(image.read_bytes())
    whole[104:108] = (4096 ^ 0x40).to_bytes(4, "big")
    image.write_bytes(whole)
    assert plan(image, with_key=False).plan is None
    planned = plan(image)
    assert [(p.code, p.evidence) for p in planned.outcome.proposals] == [("payload-offset-by-data", Evidence.DATA)]
    assert planned.plan is not None
    assert planned.plan.dangers == ()
    assert "the data decrypt to ext4" in planned.plan.notes[0]
    assert planned.plan.writes[0].new[104:108] == (4096).to_bytes(4, "big")


@pytest.mark.parametrize("sectors", SECTORS[5:])
def test_an_odd_offset_at_which_the_data_make_sense_stays(sectors: int, tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    with_filesystem(image, sectors)
    for with_key in (False, True):
        assert plan(image, with_key=with_key).plan is None


def test_an_opened_keyslot_does_not_prove_what_it_does_not_touch(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    with_filesystem(image, 4096)
    whole = bytearray(image.read_bytes())
    entry = 208 + 48 * 3
    whole[entry : entry + 8] = bytes(8)
    whole[entry + 8 : entry + 40] = random.Random(4).randbytes(32)  # an entry that may have been another keyslot
    image.write_bytes(whole)
    planned = plan(image)
    assert planned.plan is not None
    assert [danger.code for danger in planned.plan.dangers] == ["unproven"]
    with pytest.raises(Refused, match="the passphrase opens keyslot 0, but that says nothing of this"):
        planned.plan.refuse_dangers()
