"""Saving, showing, opening and verifying packets as a user does."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import escrow_samples as samples
import pytest
from cli.conftest import Ran, World
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from generators.headers import PASSPHRASE, UUID, VOLUME_KEY, luks1_image, luks2_image, with_document
from vault_samples import flip

from luksafe.escrow.recovery_key import is_recovery_key


def save(world: World, disk: Path, *arguments: object) -> Ran:
    return world.run("escrow", "save", disk, "--key-file", world.key_file, *arguments, "--json")


def packet_of(ran: Ran) -> str:
    assert ran.status == 0, ran.err
    return str(ran.json["packets"][0]["id"])


@pytest.mark.parametrize("image", [luks1_image(), luks2_image(), luks2_image(sector_size=4096, data_offset=2 << 20)])
def test_saved_opened_and_verified(world: World, recipient: str, identity: Path, image: bytes) -> None:
    disk = world.image(data=image + bytes(1 << 20))
    world.stores(2)
    saved = save(world, disk, "--recipient", recipient)
    [packet] = saved.json["packets"]
    assert packet["stores"] == ["home", "s0", "s1"]
    assert packet["size"] < 2048
    shown = world.run("escrow", "show", packet["id"], "--json").json
    assert (shown["uuid"], shown["kinds"], shown["recipients"][0]["name"]) == (UUID, ["volume-key"], recipient)
    opened = world.run("escrow", "open", UUID, "--identity", identity, "--json")
    assert (opened.status, opened.json["kind"], opened.json["secret_hex"]) == (0, "volume-key", VOLUME_KEY.hex())
    real = world.run("show", disk, "--json").json
    names = ("uuid", "format", "label", "cipher", "key_bits", "sector_size", "data_offset")
    assert {name: opened.json[name] for name in names} == {name: real[name] for name in names}
    verified = world.run("escrow", "verify", packet["id"], disk, "--identity", identity, "--json")
    assert (verified.status, verified.json["opens"], verified.json["noted"]) == (0, True, True)
    assert VOLUME_KEY.hex() not in verified.out
    assert len(world.run("escrow", "show", packet["id"], "--json").json["proofs"]) == 2


def test_the_secret_is_alone_on_standard_output(world: World, recipient: str, identity: Path) -> None:
    packet = packet_of(save(world, world.image(), "--recipient", recipient))
    done = world.process("escrow", "open", packet, "--identity", identity)
    assert done.status == 0
    assert VOLUME_KEY.hex() not in done.err
    assert world.process("escrow", "open", packet, "--identity", identity, "--hex").out == VOLUME_KEY.hex()
    out = world.folder / "key"
    assert world.run("escrow", "open", packet, "--identity", identity, "--output", out).status == 0
    assert out.read_bytes() == VOLUME_KEY
    assert out.stat().st_mode & 0o777 == 0o600
    proven = world.run("prove", world.folder / "disk.img", "--volume-key-file", out)
    assert proven.status == 0


def test_a_passphrase_is_sealed_when_asked_for(world: World, recipient: str, identity: Path) -> None:
    secrets = ("--secret", "volume-key", "--secret", "passphrase")
    packet = packet_of(save(world, world.image(), "--recipient", recipient, *secrets))
    opened = world.run("escrow", "open", packet, "--identity", identity, "--secret", "passphrase", "--json").json
    assert (opened["kind"], opened["secret_hex"], opened["keyslot"]) == ("passphrase", PASSPHRASE.hex(), 0)
    assert opened["kinds"] == ["passphrase", "volume-key"]
    assert world.process("escrow", "open", packet, "--identity", identity, "--secret", "passphrase").out == (
        PASSPHRASE.decode()
    )


def test_mixed_recipients_make_one_packet_for_each_scheme(world: World, recipient: str, identity: Path) -> None:
    certificate = world.folder / "officer.pem"
    certificate.write_bytes(samples.pem(samples.certificate(samples.rsa_key())))
    key = world.folder / "officer.key"
    key.write_bytes(samples.pem(samples.rsa_key(), b"pem words"))
    words = world.folder / "words"
    words.write_bytes(b"words for the packet\n")
    everybody = ("--recipient", recipient, "--recipient", certificate, "--recipient", "passphrase")
    ran = save(world, world.image(), *everybody, "--packet-key-file", words)
    assert ran.status == 0, ran.err
    packets = {packet["scheme"]: packet["id"] for packet in ran.json["packets"]}
    assert len(set(packets.values())) == 3
    pem_words = world.folder / "pem-words"
    pem_words.write_bytes(b"pem words\n")
    openers = {
        "age": ("--identity", identity),
        "cms": ("--identity", key, "--key-file", pem_words),
        "passphrase": ("--key-file", words),
    }
    for scheme, opener in openers.items():
        assert world.run("escrow", "open", packets[scheme], *opener, "--json").json["secret_hex"] == VOLUME_KEY.hex()
    several = world.run("escrow", "open", UUID, "--identity", identity)
    assert several.status == 2
    assert all(packet in several.err for packet in packets.values())


def test_shares_open_the_packet_and_fewer_do_not(world: World) -> None:
    folder = world.folder / "shares"
    folder.mkdir()
    packet = packet_of(save(world, world.image(), "--shares", "2/3", "--shares-dir", folder))
    files = sorted(folder.iterdir())
    assert [path.stat().st_mode & 0o777 for path in files] == [0o600] * 3
    both = ("--share", files[2], "--share", files[0])
    assert world.run("escrow", "open", packet, *both, "--json").json["secret_hex"] == VOLUME_KEY.hex()
    one = world.process("escrow", "open", packet, "--share", files[1], "--share", files[1])
    assert one.status == 2
    assert "1 more share wanted" in one.err
    assert "share 2 is in already" in one.err
    other = packet_of(save(world, world.image("other.img", luks1_image()), "--shares", "2/2"))
    foreign = world.run("escrow", "open", other, "--share", files[0])
    assert foreign.status == 2
    assert "another set" in foreign.err


def test_shares_without_a_folder_are_printed_alone(world: World) -> None:
    ran = world.run("escrow", "save", world.image(), "--key-file", world.key_file, "--shares", "2/2")
    assert ran.status == 0
    texts = [text for text in ran.out.split("# luksafe: ") if text.startswith("share")]
    assert len(texts) == 2
    for number, text in enumerate(texts):
        (world.folder / f"s{number}").write_text("# luksafe: " + text)
    opened = world.run("escrow", "open", UUID, "--share", "s0", "--share", "s1", "--json")
    assert opened.json["secret_hex"] == VOLUME_KEY.hex()


def test_a_mistyped_share_gets_a_proposal(world: World) -> None:
    folder = world.folder / "shares"
    folder.mkdir()
    packet = packet_of(save(world, world.image(), "--shares", "2/2", "--shares-dir", folder))
    first, second = sorted(folder.iterdir())
    words = [word for word in first.read_text().split("to: age")[-1].split() if word.isalpha()]
    rows = [line for line in first.read_text().splitlines() if not line.startswith("#")]
    broken = rows[0].replace(rows[0].split()[3], "academic" if rows[0].split()[3] != "academic" else "acid", 1)
    first.write_text("\n".join([broken, *rows[1:]]))
    ran = world.run("escrow", "open", packet, "--share", first, "--share", second)
    assert ran.status == 12
    assert "perhaps word 2" in ran.err
    assert words


def test_a_packet_in_a_folder_stands_alone(world: World, recipient: str, identity: Path) -> None:
    out = world.folder / "stick"
    out.mkdir()
    [packet] = save(world, world.image(), "--recipient", recipient, "--output", out).json["packets"]
    sealed, public = map(Path, packet["files"])
    assert json.loads(public.read_text())["id"] == packet["id"]
    for name in (sealed, public):
        assert world.run("escrow", "open", name, "--identity", identity, "--json").json["uuid"] == UUID
    public.unlink()
    assert world.run("escrow", "show", sealed).status == 0
    in_vault = next(world.vault.glob("*/*.age"))
    assert world.run("escrow", "open", in_vault, "--identity", identity, "--json").json["uuid"] == UUID


def test_an_altered_public_part_is_said_and_stops_nobody(world: World, recipient: str, identity: Path) -> None:
    out = world.folder / "stick"
    out.mkdir()
    [packet] = save(world, world.image(), "--recipient", recipient, "--output", out).json["packets"]
    sealed, public = map(Path, packet["files"])
    public.write_bytes(public.read_bytes().replace(UUID.encode(), UUID.replace("2", "3").encode()))
    ran = world.run("escrow", "open", sealed, "--identity", identity, "--json")
    assert (ran.status, ran.json["secret_hex"]) == (3, VOLUME_KEY.hex())
    assert "public part is not used" in ran.err
    flip(sealed)
    assert world.run("escrow", "open", sealed, "--identity", identity).status == 12


def test_wrong_keys_and_wrong_names(world: World, recipient: str, tmp_path: Path) -> None:
    disk = world.image()
    packet = packet_of(save(world, disk, "--recipient", recipient))
    other = tmp_path / "other-identity"
    other.write_text(str(samples.pyrage.x25519.Identity.generate()))
    assert world.run("escrow", "open", packet, "--identity", other).status == 11
    assert world.run("escrow", "open", packet).status == 11
    assert world.run("escrow", "open", "nothing-of-that-name").status == 15
    assert world.run("escrow", "save", disk, "--key-file", world.key_file).status == 2
    assert world.run("escrow", "save", disk, "--recipient", "age1nobody", "--key-file", world.key_file).status == 2
    assert world.run("escrow", "save", disk, "--recipient", recipient, "--key-file", other).status == 11
    assert world.run("escrow", "save", disk, "--recipient", recipient, "--volume-key-file", other).status == 11
    assert world.run("escrow", "save", "--recipient", recipient, "--key-file", other).status == 2
    assert len(world.run("escrow", "show", "--json").json["packets"]) == 1


def test_a_volume_key_file_and_a_backup_serve_as_well(world: World, recipient: str, identity: Path) -> None:
    disk = world.image()
    raw = world.folder / "raw"
    raw.write_bytes(VOLUME_KEY)
    assert world.run("backup", disk).status == 0
    for number, arguments in enumerate([(disk, "--volume-key-file", raw), (UUID, "--key-file", world.key_file)]):
        ran = world.run("escrow", "save", *arguments, "--recipient", recipient, "--with-header", "--json")
        packet = packet_of(ran)
        opened = world.run("escrow", "open", packet, "--identity", identity, "--json").json
        assert (opened["secret_hex"], opened["has_header"]) == (VOLUME_KEY.hex(), True)
        assert opened["device"]["path"].endswith("disk.img"), number


def test_the_last_packet_of_an_erased_volume_is_the_last_way_in(world: World, recipient: str) -> None:
    def erase(document: Any) -> None:
        document["keyslots"].clear()
        document["digests"]["0"]["keyslots"] = []

    disk = world.image()
    packets = [packet_of(save(world, disk, "--recipient", recipient)) for _ in range(2)]
    disk.write_bytes(with_document(luks2_image(), erase) + bytes(1 << 20))
    assert world.run("backup", disk).status == 3
    refused = world.run("forget", *packets, "--yes", "--json")
    assert (refused.status, refused.json["error"]["code"]) == (14, "last-packet")
    assert world.run("forget", packets[0], "--yes").status == 0
    assert world.run("forget", packets[1], "--yes").status == 14
    assert world.run("forget", packets[1], "--yes", "--allow-last").status == 0


def test_a_killed_keyslot_is_found_with_and_without_opening(world: World, recipient: str, identity: Path) -> None:
    disk = world.image()
    packet = packet_of(save(world, disk, "--recipient", recipient, "--secret", "passphrase"))
    assert world.run("escrow", "verify", packet, disk, "--notes").status == 0

    def kill(document: dict) -> None:
        document["keyslots"] = {}
        document["digests"]["0"]["keyslots"] = []

    disk.write_bytes(with_document(disk.read_bytes(), kill))
    noted = world.run("escrow", "verify", packet, disk, "--notes", "--json")
    assert (noted.status, noted.json["opens"]) == (10, False)
    assert "keyslot 0 was killed" in noted.json["secrets"][0]["why"]
    opened = world.run("escrow", "verify", packet, disk, "--identity", identity, "--json")
    assert (opened.status, opened.json["opens"], opened.json["noted"]) == (10, False, False)


def test_another_volume_key_and_another_volume_are_found(world: World, recipient: str, identity: Path) -> None:
    disk = world.image()
    packet = packet_of(save(world, disk, "--recipient", recipient))
    from generators.headers import CHEAP_ARGON2, seeded_bytes

    from luksafe.luks.create import Parameters, create_header
    from luksafe.secret import SecretBytes

    parameters = Parameters("luks2", UUID, "aes-xts-plain64", 1 << 20)
    again = create_header(parameters, SecretBytes(bytes(64)), SecretBytes(b"x"), CHEAP_ARGON2, seeded_bytes(9))
    formatted = world.image("formatted.img", again + bytes(1 << 20))
    for more in (("--identity", identity), ("--notes",)):
        assert world.run("escrow", "verify", packet, formatted, *more).status == 10
    foreign = world.image("foreign.img", luks2_image(uuid="11111111-2222-3333-4444-555555555555") + bytes(1 << 20))
    for more in (("--identity", identity), ("--notes",)):
        ran = world.run("escrow", "verify", packet, foreign, *more)
        assert ran.status == 14
        assert "the packet is for volume" in ran.err


def test_altered_parameters_inside_are_noticed_by_the_canary(world: World, identity: Path, recipient: str) -> None:
    import os
    from dataclasses import replace

    from luksafe.escrow.packet import open_packet, seal
    from luksafe.escrow.recipients.age import AgeIdentity, parse_recipient
    from luksafe.ops.escrow.found import read_packet_file

    out = world.folder / "stick"
    out.mkdir()
    [packet] = save(world, world.image(), "--recipient", recipient, "--output", out).json["packets"]
    found = read_packet_file(Path(packet["files"][0]))
    contents = open_packet(found.packet, [AgeIdentity(samples.age_identity())]).contents
    contents.volume.segments["0"]["sector_size"] = 4096
    forged = seal(replace(contents), [parse_recipient(recipient)], os.urandom)
    (world.folder / "forged.age").write_bytes(forged.sealed)
    ran = world.run("escrow", "open", "forged.age", "--identity", identity)
    assert ran.status == 3
    assert "sector_size should be 512" in ran.err


def test_forgotten_packets_are_gone(world: World, recipient: str) -> None:
    packet = save(world, world.image(), "--recipient", recipient).json["packets"][0]
    assert world.run("escrow", "show").out.count(packet["id"]) == 1
    assert world.run("forget", packet["id"], "--yes").status == 0
    assert world.run("escrow", "show", "--json").json["packets"] == []
    assert world.run("escrow", "show", packet["id"]).status == 15


OTHER_UUID = "11111111-2222-3333-4444-555555555555"
needs_cryptsetup = pytest.mark.skipif(shutil.which("cryptsetup") is None, reason="cryptsetup is not installed")


def keyslots(world: World, disk: Path) -> list[int]:
    return [slot["slot"] for slot in world.run("show", disk, "--json").json["keyslots"] if slot["state"] == "active"]


@needs_cryptsetup
@pytest.mark.parametrize("image", [luks1_image(), luks2_image()])
def test_a_recovery_key_is_enrolled_proven_and_sealed(
    world: World, recipient: str, identity: Path, image: bytes
) -> None:
    disk = world.image(data=image + bytes(1 << 20))
    before = keyslots(world, disk)
    planned = save(world, disk, "--recovery-key", "--dry-run", "--recipient", recipient)
    assert (planned.status, planned.json["plan"]["keyslot"]) == (0, 1)
    assert disk.read_bytes() == image + bytes(1 << 20)
    saved = save(world, disk, "--recovery-key", "--recipient", recipient, "--yes")
    packet = packet_of(saved)
    assert keyslots(world, disk) == [*before, 1]
    opened = world.run("escrow", "open", packet, "--identity", identity, "--json").json
    assert (opened["kind"], opened["keyslot"], opened["kinds"]) == ("passphrase", 1, ["passphrase"])
    secret = bytes.fromhex(opened["secret_hex"])
    assert is_recovery_key(secret.decode())
    assert secret not in saved.out.encode() + saved.err.encode()
    command = ["cryptsetup", "open", "--test-passphrase", "--key-slot", "1", "--key-file", "-", str(disk)]
    assert subprocess.run(command, input=secret).returncode == 0
    shown = world.run("show", disk, "--json").json
    if shown["format"] == "luks2":
        assert [(token["type"], token["keyslots"]) for token in shown["tokens"]] == [("systemd-recovery", [1])]
    assert world.run("escrow", "verify", packet, disk, "--identity", identity).status == 0
    assert len(list(world.vault.glob("*/*.hdr.gz"))) == 2
    assert world.run("check", disk, "--json").json["volumes"][0]["reasons"][0]["code"] != "drift"
    assert not list((world.folder / "state").rglob("pending-*"))


@needs_cryptsetup
@pytest.mark.parametrize("image", [luks1_image(), luks2_image()])
def test_verify_finds_a_recovery_key_whose_keyslot_was_killed(
    world: World, recipient: str, identity: Path, image: bytes
) -> None:
    disk = world.image(data=image + bytes(1 << 20))
    packet = packet_of(save(world, disk, "--recovery-key", "--recipient", recipient, "--yes"))
    verify = ("escrow", "verify", packet, disk, "--json")
    by = {"notes": ("--notes",), "opened": ("--identity", identity)}
    for method, how in by.items():
        ran = world.run(*verify, *how)
        assert (ran.status, ran.json["opens"], ran.json["method"]) == (0, True, method)
    subprocess.run(["cryptsetup", "-q", "luksKillSlot", disk, "1"], check=True)
    for how in by.values():
        ran = world.run(*verify, *how)
        assert (ran.status, ran.json["opens"]) == (10, False)
        assert "keyslot 1" in ran.json["secrets"][0]["why"] and "was killed" in ran.json["secrets"][0]["why"]
    subprocess.run(
        ["cryptsetup", "-q", "luksAddKey", "--key-slot", "1", "--key-file", world.key_file, disk, identity], check=True
    )
    for how, why in (("--notes",), "another passphrase"), (by["opened"], "was changed or is damaged"):
        ran = world.run(*verify, *how)
        assert (ran.status, why in ran.json["secrets"][0]["why"]) == (10, True)


@needs_cryptsetup
def test_a_recovery_key_needs_a_free_keyslot_and_a_whole_header(world: World, recipient: str) -> None:
    disk = world.image()
    damaged = bytearray(disk.read_bytes())
    damaged[4096 + 50] ^= 1
    broken = world.image("broken.img", bytes(damaged))
    ran = save(world, broken, "--recovery-key", "--recipient", recipient, "--yes")
    assert (ran.status, broken.read_bytes()) == (12, bytes(damaged))
    assert world.run("backup", disk).status == 0
    assert save(world, Path(UUID), "--recovery-key", "--recipient", recipient, "--yes").status == 2
    asked = world.process(
        "escrow", "save", disk, "--key-file", world.key_file, "--recovery-key", "--recipient", recipient
    )
    assert asked.status == 2
    assert keyslots(world, disk) == [0]


def test_several_volumes_at_once(world: World, recipient: str, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, other = world.image(), world.image("other.img", luks1_image(uuid=OTHER_UUID) + bytes(1 << 20))
    third = world.image("third.img", b"no volume" * 9999)
    found = [(str(disk), None), (str(other), None), (str(third), None)]
    monkeypatch.setattr("luksafe.cli.escrow.save.every_device", lambda: found)
    ran = world.run("escrow", "save", "--all", "--key-file", world.key_file, "--recipient", recipient, "--json")
    assert ran.status == 3
    assert [packet["uuid"] for packet in ran.json["packets"]] == [UUID, OTHER_UUID]
    assert len(ran.json["failures"]) == 1
    options = ("--key-file", "-", "--recipient", recipient)
    assert world.process("escrow", "save", disk, other, *options, stdin=PASSPHRASE).status == 0


@needs_cryptsetup
def test_shares_of_a_recovery_key_are_safe_before_it_counts(world: World) -> None:
    disk = world.image()
    before = disk.read_bytes()
    options = ("--recovery-key", "--shares", "2/2", "--yes")
    assert save(world, disk, *options).status == 2
    assert save(world, disk, *options, "--shares-dir", world.folder / "absent").status == 2
    assert disk.read_bytes() == before
    folder = world.folder / "shares"
    folder.mkdir()
    packet = packet_of(save(world, disk, *options, "--shares-dir", folder))
    given = [word for path in folder.iterdir() for word in ("--share", path)]
    opened = world.run("escrow", "open", packet, *given, "--json").json
    assert opened["kind"] == "passphrase"


def test_what_makes_no_sense_is_refused(world: World, recipient: str) -> None:
    disk = world.image()
    for arguments in (
        (disk, "--dry-run"),
        (disk, "--all"),
        (disk, disk, "--header", disk),
        (disk, "--packet", disk),
    ):
        ran = world.run("escrow", "save", *arguments, "--key-file", world.key_file, "--recipient", recipient)
        assert ran.status == 2, arguments


def test_a_pkcs12_file_opens_what_is_sealed_to_its_certificate(world: World) -> None:
    certificate = samples.certificate(samples.ec_key())
    (world.folder / "officer.pem").write_bytes(samples.pem(certificate))
    protection = serialization.BestAvailableEncryption(b"bundle words")
    bundle = pkcs12.serialize_key_and_certificates(b"officer", samples.ec_key(), certificate, None, protection)
    (world.folder / "officer.p12").write_bytes(bundle)
    (world.folder / "words").write_bytes(b"bundle words")
    packet = packet_of(save(world, world.image(), "--recipient", "officer.pem"))
    opener = ("--identity", "officer.p12", "--key-file", "words")
    assert world.run("escrow", "open", packet, *opener, "--json").json["secret_hex"] == VOLUME_KEY.hex()
    (world.folder / "words").write_bytes(b"other words")
    assert world.run("escrow", "open", packet, *opener).status == 11
    assert world.process("escrow", "open", packet, "--identity", "officer.p12").status == 2  # nobody to ask
