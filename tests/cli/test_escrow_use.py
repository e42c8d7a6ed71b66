"""Using packets: apply, revoke, rotate, reseal, export, import."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import escrow_samples as samples
import pytest
from cli.conftest import World
from generators.headers import CHEAP_ARGON2, PASSPHRASE, UUID, VOLUME_KEY, luks1_image, luks2_image, seeded_bytes

from luksafe.escrow.volume_key.packet import Keys, open_packet
from luksafe.luks.create import Parameters, create_header
from luksafe.secret import SecretBytes

needs_cryptsetup = pytest.mark.skipif(shutil.which("cryptsetup") is None, reason="cryptsetup is not installed")
CHEAP = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
NEW = b"a new passphrase"
OTHER_UUID = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def new_key(world: World) -> Path:
    path = world.folder / "new"
    path.write_bytes(NEW)
    return path


def save(world: World, disk: Path, *arguments: object) -> str:
    ran = world.run("escrow", "save", disk, "--key-file", world.key_file, *arguments, "--yes", "--json")
    assert ran.status == 0, ran.err
    return str(ran.json["packets"][0]["id"])


def opens(disk: Path, passphrase: bytes) -> bool:
    command = ["cryptsetup", "open", "--test-passphrase", "--key-file", "-", str(disk)]
    return subprocess.run(command, input=passphrase, capture_output=True).returncode == 0


def secret_of(world: World, packet: str, identity: Path) -> bytes:
    return bytes.fromhex(world.run("escrow", "open", packet, "--identity", identity, "--json").json["secret_hex"])


@needs_cryptsetup
@pytest.mark.parametrize("secret", ["volume-key", "passphrase"])
@pytest.mark.parametrize("image", [luks1_image(), luks2_image()])
def test_apply_gives_a_new_passphrase(
    world: World, recipient: str, identity: Path, new_key: Path, image: bytes, secret: str
) -> None:
    disk = world.image(data=image + bytes(1 << 20))
    packet = save(world, disk, "--recipient", recipient, "--secret", secret)
    command = ("escrow", "apply", packet, disk, "--identity", identity, "--new-key-file", new_key, *CHEAP)
    planned = world.run(*command, "--dry-run", "--json")
    assert (planned.status, planned.json["plan"]["keyslot"]) == (0, 1)
    assert not opens(disk, NEW)
    assert world.process(*command).status == 2  # nobody to confirm
    done = world.run(*command, "--yes", "--json")
    assert (done.status, done.json["keyslot"]) == (0, 1), done.err
    assert opens(disk, NEW)
    assert opens(disk, PASSPHRASE)
    assert NEW not in done.out.encode() + done.err.encode()
    assert len(list(world.vault.glob("*/*.hdr.gz"))) == 2


@needs_cryptsetup
def test_check_and_list_mention_packets(world: World, recipient: str) -> None:
    disk = world.image()
    packet = save(world, disk, "--recipient", recipient, "--recovery-key")
    for verb in (("check", disk), ("list",), ("list", disk)):
        text = world.run(*verb).out
        assert f"packet {packet}: passphrase for x25519 {recipient[:20]}, made just now, verified just now" in text
    [seen] = world.run("check", disk, "--json").json["volumes"]
    assert (seen["packets"][0]["id"], seen["packets"][0]["stale"], seen["notes"]) == (packet, "", [])
    subprocess.run(["cryptsetup", "-q", "luksKillSlot", str(disk), "1"], check=True)
    [seen] = world.run("check", disk, "--json").json["volumes"]
    assert seen["packets"][0]["stale"] == "keyslot 1 was killed"
    assert [note["code"] for note in seen["notes"]] == ["packet-stale"]
    assert f"luksafe escrow verify {packet} {disk}" in world.run("check", disk).out
    assert world.run("list", "--json").json["packets"][0]["uuid"] == UUID


def test_many_packets_and_no_backup(world: World, recipient: str) -> None:
    disk = world.image()
    for _ in range(5):
        save(world, disk, "--recipient", recipient)
    text = world.run("list").out
    assert "no backup of its header" in text
    assert text.count(": volume-key for ") == 3
    assert f"and 2 more packets: luksafe escrow show {UUID}" in text


def test_apply_with_a_packet_of_another_key_is_refused(
    world: World, recipient: str, identity: Path, new_key: Path
) -> None:
    packet = save(world, world.image(), "--recipient", recipient)
    parameters = Parameters("luks2", UUID, "aes-xts-plain64", 1 << 20)
    again = create_header(parameters, SecretBytes(bytes(64)), SecretBytes(b"x"), CHEAP_ARGON2, seeded_bytes(9))
    other = world.image("other.img", again + bytes(1 << 20))
    before = other.read_bytes()
    ran = world.run("escrow", "apply", packet, other, "--identity", identity, "--new-key-file", new_key, "--yes")
    assert (ran.status, other.read_bytes()) == (11, before)


@needs_cryptsetup
@pytest.mark.parametrize("by", ["notes", "opening"])
@pytest.mark.parametrize("image", [luks1_image(), luks2_image()])
def test_revoke_erases_the_keyslot_and_says_what_still_opens(
    world: World, recipient: str, identity: Path, image: bytes, by: str
) -> None:
    disk = world.image(data=image + bytes(1 << 20))
    packet = save(world, disk, "--recipient", recipient, "--recovery-key")
    recovery_key = secret_of(world, packet, identity)
    opener = ("--identity", identity) if by == "opening" else ()
    planned = world.run("escrow", "revoke", packet, disk, *opener, "--dry-run", "--json").json
    assert planned["plan"]["keyslot"] == 1
    assert opens(disk, recovery_key)
    done = world.run("escrow", "revoke", packet, disk, *opener, "--yes", "--json")
    assert done.status == 3  # one backup still opens with it
    assert not opens(disk, recovery_key)
    assert opens(disk, PASSPHRASE)
    assert world.run("show", disk, "--json").json["tokens"] == []
    [still] = done.json["still_open"]
    key = world.folder / "recovery"
    key.write_bytes(recovery_key)
    assert world.run("prove", still["id"], "--key-file", key).status == 0
    assert world.run("forget", still["id"], "--yes").status == 14  # nothing else was proven yet
    assert world.run("prove", UUID, "--key-file", world.key_file).status == 0
    assert world.run("forget", still["id"], "--yes").status == 0
    again = world.run("escrow", "revoke", packet, disk, *opener, "--yes", "--json")
    assert (again.status, again.json["plan"]["keyslot"], again.json["still_open"]) == (0, None, [])


@needs_cryptsetup
def test_the_last_keyslot_and_volume_keys_are_not_revoked(world: World, recipient: str, identity: Path) -> None:
    disk = world.image()
    before = disk.read_bytes()
    packet = save(world, disk, "--recipient", recipient, "--secret", "passphrase")
    ran = world.run("escrow", "revoke", packet, disk, "--yes")
    assert ran.status == 14
    assert "--allow-last" in ran.err
    volume_key = save(world, disk, "--recipient", recipient)
    ran = world.run("escrow", "revoke", volume_key, disk, "--yes")
    assert ran.status == 14
    assert "cryptsetup reencrypt" in ran.err
    assert disk.read_bytes() == before
    assert world.run("escrow", "revoke", packet, disk, "--allow-last", "--yes").status == 3
    assert not opens(disk, PASSPHRASE)


@needs_cryptsetup
def test_rotate_replaces_the_recovery_key(world: World, recipient: str, identity: Path) -> None:
    disk = world.image()
    packet = save(world, disk, "--recipient", recipient, "--recovery-key")
    old = secret_of(world, packet, identity)
    command = ("escrow", "rotate", packet, disk, "--identity", identity, "--recipient", recipient)
    assert world.run(*command, "--dry-run", "--json").json["revoke"]["keyslot"] == 1
    assert opens(disk, old)
    done = world.run(*command, "--yes", "--json")
    assert done.status == 3, done.err
    new = secret_of(world, done.json["packets"][0]["id"], identity)
    assert new != old
    assert (opens(disk, old), opens(disk, new), opens(disk, PASSPHRASE)) == (False, True, True)
    tokens = world.run("show", disk, "--json").json["tokens"]
    assert [token["keyslots"] for token in tokens] == [[2]]
    assert world.run("escrow", "verify", packet, disk, "--notes").status == 10


def test_reseal_to_other_people(world: World, recipient: str, identity: Path) -> None:
    disk = world.image()
    packet = save(world, disk, "--recipient", recipient, "--with-header")
    other = samples.pyrage.x25519.Identity.generate()
    (world.folder / "other").write_text(str(other))
    command = ("escrow", "reseal", packet, "--identity", identity, "--recipient", other.to_public())
    done = world.run(*command, "--json")
    assert done.status == 0, done.err
    again = done.json["packets"][0]["id"]
    assert world.run("escrow", "open", again, "--identity", identity).status == 11
    old, new = (
        world.run("escrow", "open", name, "--identity", who, "--json").json
        for name, who in ((packet, identity), (again, "other"))
    )
    assert {n: v for n, v in old.items() if n not in ("packet", "made")} == {
        n: v for n, v in new.items() if n not in ("packet", "made")
    }
    assert world.run("escrow", "verify", again, disk, "--notes").status == 0


@pytest.mark.parametrize("form", ["cleartext", "passphrase", "asymmetric", "asymmetric-wrap-secret"])
def test_export_for_volume_key_and_import_again(world: World, recipient: str, identity: Path, form: str) -> None:
    disk = world.image()
    packet = save(world, disk, "--recipient", recipient)
    assert world.run("backup", disk).status == 0
    certificate = world.folder / "officer.pem"
    certificate.write_bytes(samples.pem(samples.certificate(samples.rsa_key())))
    key = world.folder / "officer.key"
    key.write_bytes(samples.pem(samples.rsa_key()))
    words = world.folder / "words"
    words.write_bytes(b"words\n")
    out = world.folder / "old-packets"
    out.mkdir()
    options = ("--certificate", certificate, "--packet-key-file", words)
    ran = world.run(
        "escrow", "export", packet, out / "packet", "--volume-key-format", form, "--identity", identity, *options
    )
    assert ran.status == 0, ran.err
    if form == "cleartext":
        found = open_packet((out / "packet").read_bytes(), Keys())
        assert found.secret is not None
        assert (found.secret.reveal(), found.volume_uuid) == (VOLUME_KEY, UUID)
    openers = ("--identity", key) if form.startswith("asym") else ("--key-file", words)
    done = world.run("escrow", "import", out, *openers, "--recipient", recipient, "--json")
    assert done.status == 0, done.err
    assert [(each["state"], each["uuid"]) for each in done.json["imported"]] == [("proven", UUID)]
    again = done.json["packets"][0]["id"]
    opened = world.run("escrow", "open", again, "--identity", identity, "--json").json
    assert (opened["secret_hex"], opened["data_offset"], opened["complete"]) == (VOLUME_KEY.hex(), 1 << 20, True)


def test_a_packet_leaves_as_files_and_comes_back(world: World, recipient: str, identity: Path) -> None:
    packet = save(world, world.image(), "--recipient", recipient)
    out = world.folder / "stick"
    out.mkdir()
    files = world.run("escrow", "export", packet, out, "--json").json["files"]
    assert [Path(name).suffix for name in files] == [".age", ".json"]
    assert world.run("escrow", "export", packet, out).status == 14
    world.vault.rename(world.folder / "lost")
    ran = world.run("escrow", "import", out, "--json")
    assert [each["state"] for each in ran.json["imported"]] == ["stored", "skipped"]
    assert world.run("escrow", "open", packet, "--identity", identity, "--json").json["uuid"] == UUID


def test_a_folder_of_everything_is_imported(world: World, recipient: str, identity: Path) -> None:
    disk = world.image()
    assert world.run("backup", disk).status == 0
    folder = world.folder / "old"
    (folder / "deep").mkdir(parents=True)
    key = VOLUME_KEY.hex(" ")
    dump = f"LUKS header information\nCipher name:   \taes\nCipher mode:   \txts-plain64\nUUID:          \t{UUID}\n"
    dump += f"MK bits:       \t512\nMK dump:\t{key[:96]}\n        {key[96:]}\n"
    (folder / "dump.txt").write_text(dump)
    (folder / "deep" / "raw.key").write_bytes(VOLUME_KEY)
    table = f"hostname,luks_uuid,recovery_key\nnas,{UUID},{PASSPHRASE.decode()}\nnas2,{OTHER_UUID},other words\n"
    (folder / "table.csv").write_text(table)
    (folder / "wrong.csv").write_text(f"hostname,luks_uuid,recovery_key\nnas,{UUID},wrong words\n")
    (folder / "readme").write_text("nothing here")
    planned = world.run("escrow", "import", folder, "--dry-run", "--json")
    done = world.run("escrow", "import", folder, "--recipient", recipient, "--json")
    states = [(Path(each["file"]).name, each["state"], each["kind"]) for each in done.json["imported"]]
    assert states == [
        ("raw.key", "proven", "volume-key"),
        ("dump.txt", "proven", "volume-key"),
        ("readme", "skipped", ""),
        ("table.csv", "proven", "passphrase"),
        ("table.csv", "unproven", "passphrase"),
        ("wrong.csv", "refused", "passphrase"),
    ]
    assert planned.json["imported"] == done.json["imported"]
    assert (done.status, len(done.json["packets"])) == (3, 4)
    for packet in done.json["packets"]:
        opened = world.run("escrow", "open", packet["id"], "--identity", identity, "--json")
        assert opened.status == 0, opened.err
        if packet["uuid"] == UUID:
            assert world.run("escrow", "verify", packet["id"], disk, "--identity", identity).status == 0
    assert json.dumps(VOLUME_KEY.hex()) not in done.out


def test_import_needs_recipients_only_for_what_it_seals(world: World) -> None:
    (world.folder / "raw.key").write_bytes(VOLUME_KEY)
    ran = world.run("escrow", "import", world.folder / "raw.key", "--opens", world.image(), "--json")
    assert (ran.status, ran.json["imported"][0]["state"]) == (3, "skipped")
    assert "to whom" in ran.json["imported"][0]["why"]
    assert world.run("escrow", "import", world.folder / "absent").status == 15


def need(*tools: str) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def test_stock_tools_open_what_was_saved(world: World, recipient: str, identity: Path) -> None:
    need("age", "openssl")
    certificate = world.folder / "officer.pem"
    certificate.write_bytes(samples.pem(samples.certificate(samples.rsa_key())))
    key = world.folder / "officer.key"
    key.write_bytes(samples.pem(samples.rsa_key()))
    save(world, world.image(), "--recipient", recipient, "--recipient", certificate)
    [by_age], [by_cms] = (list(world.vault.glob(f"*/*{suffix}")) for suffix in (".age", ".p7m"))
    commands = (
        ["age", "--decrypt", "-i", str(identity), str(by_age)],
        ["openssl", "cms", "-decrypt", "-inform", "DER", "-inkey", str(key), "-in", str(by_cms)],
    )
    for command in commands:
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        assert found["secrets"][0]["hex"] == VOLUME_KEY.hex()
        assert found["volume"]["uuid"] == UUID


@pytest.mark.parametrize("image", [luks1_image(), luks2_image()])
def test_debians_volume_key_reads_an_export(world: World, recipient: str, identity: Path, image: bytes) -> None:
    need("volume_key")
    packet = save(world, world.image(data=image + bytes(1 << 20)), "--recipient", recipient)
    options = ("--volume-key-format", "cleartext", "--identity", identity)
    assert world.run("escrow", "export", packet, "vk-packet", *options).status == 0
    done = subprocess.run(
        ["volume_key", "--batch", "--secrets", "vk-packet"], check=True, capture_output=True, text=True
    )
    assert VOLUME_KEY.hex() in done.stdout.lower()
    done = subprocess.run(["volume_key", "--batch", "--dump", "vk-packet"], check=True, capture_output=True, text=True)
    assert UUID in done.stdout
