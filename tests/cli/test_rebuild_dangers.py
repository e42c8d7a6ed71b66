"""What a rebuild must not write over in silence: a reencryption, another filesystem, a device that is too short."""

from __future__ import annotations

from typing import Any

import pytest
from cli.conftest import Ran, World
from cli.test_rebuild import CHEAP, NEW_PASSPHRASE, STATED, opens, options, volume
from cli.test_restore_undo import vfat_over
from generators.headers import PASSPHRASE, VOLUME_KEY, luks2_image, seeded_bytes, with_document

from luksafe.crypto.sectors import sector_cipher
from luksafe.probe import recognise
from luksafe.secret import SecretBytes

UNKNOWN = ("--allow-unproven", "--allow-unknown-device", "--allow-noise")
"""What may be added where nothing proves the key: these are not what is looked at here."""


@pytest.fixture
def rebuild(world: World) -> Any:
    (world.folder / "vk").write_bytes(VOLUME_KEY)
    (world.folder / "new").write_bytes(NEW_PASSPHRASE)

    def run(*more: object) -> Ran:
        disk = world.folder / "disk.img"
        return world.run("rebuild", disk, "--volume-key-file", "vk", "--new-key-file", "new", *CHEAP, "--json", *more)

    return run


def test_a_device_in_reencryption(world: World, rebuild: Any) -> None:
    def begun(document: Any) -> None:
        document["config"]["requirements"] = {"mandatory": ["offline-reencrypt"]}

    image = with_document(volume(luks2_image()), begun)
    disk = world.image(data=image)
    unstated = rebuild("--yes", *UNKNOWN)  # the key is right: it is the header that is not to be used
    assert (unstated.status, "is not used: it is in reencryption" in unstated.err) == (2, True)
    ran = rebuild(*options(STATED), "--yes", *UNKNOWN)
    assert (ran.status, ran.json["error"]["code"]) == (14, "in-reencryption")
    assert "add --allow-reencryption" in ran.err
    assert disk.read_bytes() == image


def test_data_of_another_iv_are_noise_and_no_command_leads_to_them(world: World, rebuild: Any) -> None:
    cipher = sector_cipher("aes-cbc-essiv:sha256", SecretBytes(VOLUME_KEY[:32]), sector_size=512)
    (world.folder / "vk").write_bytes(VOLUME_KEY[:32])
    plain = b"".join(bytes([number % 251]) * 512 for number in range(2048))
    disk = world.image(data=bytes(1 << 20) + bytes(cipher.encrypt(plain, 0)))
    wrong = options({**STATED, "--cipher": "aes-cbc-plain64"})
    ran = rebuild(*wrong, "--yes")
    assert (ran.status, ran.json["error"]["code"]) == (14, "data-noise"), ran.err
    shown = world.process("rebuild", disk, "--volume-key-file", world.folder / "vk", *wrong, "--dry-run")
    assert shown.status == 14
    assert "next: give another key or other parameters" in shown.out
    right = options({**STATED, "--cipher": "aes-cbc-essiv:sha256"})
    assert rebuild(*right, "--yes").status == 0


def test_a_filesystem_over_data_that_do_not_tell(world: World, rebuild: Any) -> None:
    image = vfat_over(luks2_image()) + seeded_bytes(8)(1 << 20)
    image = image[:16384] + bytes((1 << 20) - 16384) + image[1 << 20 :]
    disk = world.image(data=image)
    ran = rebuild(*options(STATED), "--yes", *UNKNOWN)
    assert (ran.status, ran.json["error"]["code"]) == (14, "foreign-signature")
    assert "add --over vfat" in ran.err
    assert disk.read_bytes() == image
    done = rebuild(*options(STATED), "--yes", *UNKNOWN, "--over", "vfat")
    assert done.status == 0, done.err
    assert opens(disk, NEW_PASSPHRASE)
    assert world.run("undo", disk, "--yes").status == 0
    assert disk.read_bytes() == image


def test_a_filesystem_over_the_header_of_data_that_are_proven(world: World, rebuild: Any) -> None:
    whole = volume(luks2_image())
    image = vfat_over(whole)
    image = image[:16384] + bytes((1 << 20) - 16384) + image[1 << 20 :]
    disk = world.image(data=image)
    ran = rebuild(*options(STATED), "--yes")
    assert ran.status == 0, ran.err
    assert "vfat, which was written over the header, is replaced" in ran.json["plan"]["changes"]
    assert disk.read_bytes()[1 << 20 :] == whole[1 << 20 :]
    assert not opens_with_old(disk)


def opens_with_old(disk: Any) -> bool:
    try:
        return opens(disk, PASSPHRASE)
    except Exception:
        return False


def test_a_device_that_ends_before_the_data(world: World, rebuild: Any) -> None:
    disk = world.image(data=bytes(1 << 20))
    ran = rebuild(*options(STATED), "--yes", *UNKNOWN)
    assert ran.status == 14
    assert "has 1048576 bytes; the data begin at byte 1048576" in ran.err
    assert disk.read_bytes() == bytes(1 << 20)


@pytest.mark.stops
def test_what_stops_a_probe_is_a_danger(world: World, rebuild: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("planted")

    world.image(data=bytes(1 << 20) + volume(luks2_image())[1 << 20 :])
    monkeypatch.setattr(recognise, "PROBES", (broken, *recognise.PROBES))
    ran = rebuild(*options(STATED), "--yes", *UNKNOWN)
    assert (ran.status, ran.json["error"]["code"]) == (14, "unread")
    assert rebuild(*options(STATED), "--yes", "--allow-unread", *UNKNOWN).status == 0
