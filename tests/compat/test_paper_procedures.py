"""The steps back in that stand on a sheet, done with the real tools on volumes whose header is gone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Literal

import pytest
from generators.headers import (
    CHEAP_PBKDF2,
    PASSPHRASE,
    UUID,
    VOLUME_KEY,
    luks1_image,
    luks2_image,
    seeded_bytes,
)

from luksafe.luks.create import Parameters, create_header
from luksafe.luks.inspection import inspect
from luksafe.luks.unlock import verify_volume_key
from luksafe.ops.paper_print import make_content
from luksafe.ops.sheet_subject import subject_of
from luksafe.ops.target import open_target
from luksafe.ops.workspace import Workspace
from luksafe.paper.sheet import SheetContent, SheetKind
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes

DATA = 4 << 20
SHORT_KEY = VOLUME_KEY[:32]


def cbc_image(form: Literal["luks1", "luks2"]) -> bytes:
    parameters = Parameters(form, UUID, "aes-cbc-essiv:sha256", 2 << 20)
    header = create_header(parameters, SecretBytes(SHORT_KEY), SecretBytes(PASSPHRASE), CHEAP_PBKDF2, seeded_bytes())
    return header.ljust(2 << 20, b"\0")


# cryptsetup wants the data of an image file to begin at a multiple of 4096 bytes
IMAGES = {
    "luks2": (luks2_image(), VOLUME_KEY),
    "luks2-4096": (luks2_image(sector_size=4096), VOLUME_KEY),
    "luks2-cbc": (cbc_image("luks2"), SHORT_KEY),
    "luks1": (luks1_image(), VOLUME_KEY),
    "luks1-cbc": (cbc_image("luks1"), SHORT_KEY),
    "luks1-odd-offset": (luks1_image(data_offset=(2 << 20) + 4096 * 7), VOLUME_KEY),
}


def needs(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def shell(command: str, folder: Path) -> None:
    run = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def commands_of(content: SheetContent) -> list[str]:
    return [command for p in content.procedures for step in p.steps for command in step.commands]


@pytest.mark.parametrize("name", IMAGES)
def test_a_destroyed_header_is_made_anew_from_the_paper(name: str, tmp_path: Path) -> None:
    needs("cryptsetup", "xxd")
    image = tmp_path / "disk.img"
    intact, key = IMAGES[name]
    image.write_bytes(intact + bytes(DATA))
    workspace = Workspace(tmp_path / "vault", host="nas1")
    with open_target(workspace, str(image)) as target:
        content = make_content(SecretBytes(key), SheetKind.VOLUME_KEY, subject_of(workspace, target))
    before = inspect(BytesReader(intact)).require_header()
    destroyed = bytes(before.data_offset + DATA)
    image.write_bytes(destroyed)

    commands = commands_of(content)
    (tmp_path / "hex.txt").write_text("\n".join(content.verbatim[at : at + 32] for at in range(0, 2 * len(key), 32)))
    shell(next(command for command in commands if command.startswith("xxd")), tmp_path)
    (tmp_path / "new-passphrase").write_bytes(b"a new one")
    form = next(command for command in commands if "luksFormat" in command).replace("DEVICE", "disk.img")
    shell(f"{form} -q --pbkdf-force-iterations 1000 --pbkdf pbkdf2 --key-file new-passphrase", tmp_path)

    shell("cryptsetup open --test-passphrase --header new-header.img --key-file new-passphrase disk.img", tmp_path)
    assert image.read_bytes() == destroyed
    after = inspect(BytesReader((tmp_path / "new-header.img").read_bytes())).require_header()
    for field in ("format", "uuid", "encryption", "sector_size", "data_offset", "volume_key_size"):
        assert getattr(after, field) == getattr(before, field)
    (digest,) = after.digests.values()
    assert verify_volume_key(digest, SecretBytes(key))


def opening(packet: bytes) -> str:
    content = make_content(SecretBytes(packet), SheetKind.PACKET)
    return next(command for command in commands_of(content) if command.startswith(("age", "openssl")))


@pytest.mark.parametrize("armor", ["", "-a"])
def test_an_age_packet_is_opened_as_printed(armor: str, tmp_path: Path) -> None:
    needs("age", "age-keygen")
    shell(f"age-keygen -o KEY.txt && echo '{{}}' | age {armor} -r $(age-keygen -y KEY.txt) > packet.age", tmp_path)
    shell(opening((tmp_path / "packet.age").read_bytes()), tmp_path)
    assert (tmp_path / "packet.json").read_text() == "{}\n"


def test_a_packet_under_a_passphrase_is_opened_without_an_identity() -> None:
    assert opening(b"age-encryption.org/v1\n-> scrypt c2FsdA 10\n") == "age --decrypt packet.age > packet.json"


@pytest.mark.parametrize("form", ["DER", "PEM"])
def test_a_cms_packet_is_opened_as_printed(form: str, tmp_path: Path) -> None:
    needs("openssl")
    shell(
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=test -keyout KEY.pem -out cert.pem && echo '{}' |"
        f" openssl cms -encrypt -binary -aes256 -outform {form} -out packet.p7m cert.pem",
        tmp_path,
    )
    shell(opening((tmp_path / "packet.p7m").read_bytes()), tmp_path)
    assert (tmp_path / "packet.json").read_text() == "{}\n"
