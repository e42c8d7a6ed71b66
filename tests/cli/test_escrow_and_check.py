"""Escrow and ``check`` say the same: proofs that were made, packets that ended, folders that are not there."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import escrow_samples as samples
import pytest
from cli.conftest import World
from cli.test_escrow_use import needs_cryptsetup, save
from generators.headers import PASSPHRASE, UUID, luks2_image


@needs_cryptsetup
def test_a_recovery_key_that_was_just_proven_is_a_proof_of_the_backup(world: World, recipient: str) -> None:
    disk = world.image()
    save(world, disk, "--recipient", recipient, "--recovery-key")
    [seen] = world.run("check", disk, "--json").json["volumes"]
    assert seen["proven"]
    assert "unproven" not in [reason["code"] for reason in seen["reasons"]]


@needs_cryptsetup
def test_after_rotate_the_dead_packet_is_shown_as_dead_and_check_proposes_to_forget_it(
    world: World, recipient: str, identity: Path
) -> None:
    disk = world.image()
    packet = save(world, disk, "--recipient", recipient, "--recovery-key")
    done = world.run(
        *("escrow", "rotate", packet, disk, "--identity", identity, "--recipient", recipient, "--yes", "--json")
    )
    [new] = [each["id"] for each in done.json["packets"]]
    for words in (("list",), ("escrow", "show"), ("escrow", "list"), ("escrow", "list", UUID), ("check", disk)):
        lines = world.run(*words).out.splitlines()
        [old] = [line for line in lines if f"packet {packet}:" in line]
        assert "DEAD: keyslot 1 was killed" in old, words
        assert not [line for line in lines if f"packet {new}:" in line and "DEAD" in line]
    assert "DEAD    keyslot 1 was killed" in world.run("escrow", "show", packet).out
    assert world.run("escrow", "show", packet, "--json").json["stale"] == "keyslot 1 was killed"
    [seen] = world.run("check", disk, "--json").json["volumes"]
    assert [note["next"] for note in seen["notes"] if note["code"] == "packet-stale"] == [f"luksafe forget {packet}"]
    assert "unproven" not in [reason["code"] for reason in seen["reasons"]]
    assert world.run("forget", packet, "--yes").status == 0
    assert packet not in world.run("escrow", "list").out


@needs_cryptsetup
def test_a_packet_whose_volume_key_still_opens_is_not_dead(world: World, recipient: str) -> None:
    disk = world.image()
    both = ("--secret", "volume-key", "--recovery-key")
    packet = save(world, disk, "--recipient", recipient, *both)
    subprocess.run(["cryptsetup", "-q", "luksKillSlot", str(disk), "1"], check=True)
    world.run("backup", disk)
    [seen] = world.run("check", disk, "--json").json["volumes"]
    assert (seen["packets"][0]["stale"], seen["packets"][0]["is_dead"]) == ("keyslot 1 was killed", False)
    assert f"luksafe forget {packet}" not in world.run("check", disk).out


def test_resealing_names_every_packet_that_still_opens_to_others(world: World, recipient: str, identity: Path) -> None:
    disk = world.image()
    first, second = (save(world, disk, "--recipient", recipient) for _ in range(2))
    other = samples.pyrage.x25519.Identity.generate().to_public()
    said = world.run("escrow", "reseal", second, "--identity", identity, "--recipient", other)
    assert said.status == 0, said.err
    assert f"luksafe forget {second}" in said.out
    assert f"luksafe forget {first}" in said.out


@needs_cryptsetup
def test_rotate_names_every_packet_that_ends(world: World, recipient: str, identity: Path) -> None:
    disk = world.image()
    packet = save(world, disk, "--recipient", recipient, "--recovery-key")
    again = world.run(*("escrow", "reseal", packet, "--identity", identity, "--recipient", recipient, "--json")).json[
        "packets"
    ][0]["id"]
    said = world.run(*("escrow", "rotate", packet, disk, "--identity", identity, "--recipient", recipient, "--yes")).out
    assert f"luksafe forget {packet} {again}" in said


def test_import_reads_the_passphrase_of_a_packet_from_standard_input(
    world: World, recipient: str, identity: Path
) -> None:
    disk = world.image()
    packet = save(world, disk, "--recipient", recipient)
    words = world.folder / "words"
    words.write_bytes(b"words\n")
    out = world.folder / "old-packet"
    exported = world.run(
        *("escrow", "export", packet, out, "--volume-key-format", "passphrase", "--identity", identity),
        *("--packet-key-file", words),
    )
    assert exported.status == 0, exported.err
    done = world.process(
        *("escrow", "import", out, "--opens", disk, "--key-file", "-", "--recipient", recipient, "--json"),
        stdin=b"words\n",
    )
    assert [each["state"] for each in done.json["imported"]] == ["proven"], done.out


@pytest.mark.parametrize(("option", "status"), [("--output", 15), ("--shares-dir", 2)])
def test_a_folder_that_is_not_there_is_refused_before_anything_else(
    world: World, recipient: str, option: str, status: int
) -> None:
    gone = world.folder / "gone"
    sealed = ("--recipient", recipient) if option == "--output" else ("--shares", "2/3")
    # no terminal: what asked for a passphrase first would say so
    ran = world.process("escrow", "save", world.image(), *sealed, option, gone)
    assert (ran.status, f"{option} {gone}: no such folder" in ran.err) == (status, True), ran.err
    assert "nothing was done" in ran.err
    assert not gone.exists()
    assert not world.vault.exists()


def test_verify_all_tries_each_packet(
    world: World, recipient: str, identity: Path, loop_device: Callable[..., str]
) -> None:
    own = "5f1d7a52-17f5-4d6b-9d53-0a2d5b6c1e77"
    disk = world.image(data=luks2_image(uuid=own) + bytes(1 << 20))
    save(world, disk, "--recipient", recipient)
    absent = world.run("escrow", "verify", "--all", "--json")
    assert (absent.status, [each["opens"] for each in absent.json["packets"]]) == (3, [None])
    loop_device(disk)
    save(world, disk, "--recipient", recipient, "--secret", "passphrase")
    for how, method in ((("--identity", identity), "opened"), (("--notes",), "notes"), ((), "notes")):
        done = world.run("escrow", "verify", "--all", *how, "--json")
        assert (done.status, [each["opens"] for each in done.json["packets"]]) == (0, [True, True]), done.err
        assert {each["method"] for each in done.json["packets"]} == {method}
    assert world.run("escrow", "verify").status == 2
    assert PASSPHRASE.decode() not in done.out
