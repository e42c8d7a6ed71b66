"""Each rule of the diagnosis, from real images: what diagnose, rescue, the report and check say because of it."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from generators.headers import UUID, encrypted, luks1_image, luks2_image, with_binary, with_document
from lost_headers import KINDS, make_volume
from mapping_samples import mapping

from luksafe.luks.model import Json
from luksafe.ops.diagnosis import facts
from luksafe.ops.diagnosis.rules.table import RULES

if TYPE_CHECKING:
    from conftest import World

ROOT = Path(__file__).resolve().parents[2]
NOISE = random.Random(2).randbytes(1 << 20)
OTHER = "11111111-2222-3333-4444-555555555555"
CHEAP = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")


@dataclass(frozen=True)
class Scene:
    """How a device comes to this, and what is said then. ``opens``: a passphrase opens it as it is."""

    code: str
    verdict: str
    make: Callable[[World], Path]
    says: str
    next: tuple[str, ...]
    ways: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


def put(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def disk(world: World, data: bytes) -> Path:
    return world.image("disk.img", data)


def backed_up(world: World, data: bytes, damage: Callable[[bytes], bytes]) -> Path:
    """A device that was backed up, then damaged."""
    path = disk(world, data)
    assert world.run("backup", path).status in (0, 3)
    path.write_bytes(damage(data))
    return path


def cryptsetup(*command: object, key: bytes = b"") -> None:
    if shutil.which("cryptsetup") is None:
        pytest.skip("needs cryptsetup")
    subprocess.run(["cryptsetup", "-q", *map(str, command)], input=key, check=True, capture_output=True)


def two_keyslots(world: World) -> Path:
    """A volume with two keyslots, made by cryptsetup."""
    path = disk(world, NOISE * 3)
    first, second = world.key_file, world.folder / "second"
    second.write_bytes(b"the other one")
    cryptsetup("luksFormat", "--type", "luks2", "--offset", "4096", *CHEAP, "--uuid", UUID, "--key-file", first, path)
    cryptsetup("luksAddKey", *CHEAP, "--key-file", first, path, second)
    return path


def one_of_two_destroyed(world: World) -> Path:
    path = two_keyslots(world)
    path.write_bytes(put(path.read_bytes(), 32768 + 258048, bytes(8192)))
    return path


def one_of_two_destroyed_but_kept(world: World) -> Path:
    path = two_keyslots(world)
    assert world.run("backup", path).status in (0, 3)
    path.write_bytes(put(path.read_bytes(), 32768 + 258048, bytes(8192)))
    return path


def erased(world: World, *, kept: bool) -> Path:
    path = two_keyslots(world)
    if kept:
        assert world.run("backup", path).status in (0, 3)
    cryptsetup("luksErase", path)
    return path


def with_packet(world: World, data: bytes, damage: Callable[[bytes], bytes]) -> Path:
    path = disk(world, data)
    words = world.folder / "words"
    words.write_bytes(b"words")
    sealed = ("--recipient", "passphrase", "--packet-key-file", words)
    assert world.run("escrow", "save", path, "--key-file", world.key_file, *sealed, "--yes").status == 0
    for backup in world.run("list", "--json").json["backups"]:
        world.run("forget", backup["id"], "--yes")
    path.write_bytes(damage(data))
    return path


def packet_damage(data: bytes) -> bytes:
    """Both JSON areas are gone, the UUID is left."""
    return data[:4096] + bytes(12288) + data[16384:20480] + NO_HEADER[20480:]


def partitioned(world: World, content: bytes) -> Path:
    """A disk of one partition, which begins with ``content``."""
    if shutil.which("sfdisk") is None:
        pytest.skip("needs sfdisk")
    path = disk(world, bytes(16 << 20))
    table = "label: gpt\nstart=2048, size=8192\n"
    subprocess.run(["sfdisk", "--quiet", path], input=table, text=True, check=True, capture_output=True)
    path.write_bytes(put(path.read_bytes(), 1 << 20, content))
    return path


def backup_table_behind(world: World) -> Path:
    """The start is as it was, but the backup GPT stands at the end."""
    path = partitioned(world, b"")
    path.write_bytes(LUKS2[: 1 << 20] + random.Random(3).randbytes(8 << 20) + path.read_bytes()[9 << 20 :])
    return path


def packed(world: World, form: str) -> Path:
    """A backup is in the vault; then the image becomes a container of the same name."""
    if shutil.which("qemu-img") is None:
        pytest.skip("needs qemu-img")
    path = disk(world, LUKS2)
    assert world.run("backup", path).status in (0, 3)
    raw = path.rename(world.folder / "raw")
    subprocess.run(["qemu-img", "convert", "-O", form, raw, path], check=True, capture_output=True)
    return path


def discarded(world: World, *, proven: bool) -> Path:
    """Nothing but zeros is left of a volume; the vault may know that there were data."""
    plain = bytes(1 << 20)
    if proven:
        image = world.folder / "plain"
        image.write_bytes(bytes(4 << 20))
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True, capture_output=True)
        plain = image.read_bytes()
    data = luks2_image() + encrypted(plain)
    path = disk(world, data)
    assert world.run("backup", path).status in (0, 3)
    if proven:
        assert world.run("prove", UUID, "--data", path, "--key-file", world.key_file).status == 0
    path.write_bytes(bytes(len(data)))
    return path


def in_the_clear(document: Json) -> None:
    document.update(keyslots={}, digests={}, tokens={})
    document["segments"] = {"0": {"type": "linear", "offset": str(1 << 20), "size": "dynamic"}}


def without_keyslots(document: Json) -> None:
    document["keyslots"] = {}
    document["digests"]["0"]["keyslots"] = []


def requires(document: Json) -> None:
    document["config"]["requirements"] = {"mandatory": ["from-the-future"]}


def reencrypting(world: World) -> Path:
    path = two_keyslots(world)
    cryptsetup("reencrypt", "--init-only", *CHEAP, "--key-slot", "0", "--key-file", world.key_file, path)
    return path


def detached(world: World) -> Path:
    path, header = disk(world, NOISE * 20), world.folder / "head.img"
    cryptsetup("luksFormat", "--type", "luks2", "--header", header, *CHEAP, "--key-file", world.key_file, path)
    assert world.run("backup", path, "--header", header).status in (0, 3)
    header.unlink()
    return path


def formatted_again(world: World) -> Path:
    path = disk(world, LUKS2)
    assert world.run("backup", path).status in (0, 3)
    cryptsetup("luksFormat", "--type", "luks2", "--offset", "2048", *CHEAP, "--key-file", world.key_file, path)
    return path


def other_cipher(world: World) -> Path:
    """A volume with a filesystem whose header says sectors of 4096 bytes while the data have such of 512."""
    plain = bytearray(1 << 20)
    plain[1080:1082] = b"\x53\xef"
    tool = shutil.which("mkfs.ext4")
    if tool is None:
        pytest.skip("needs mkfs.ext4")
    image = world.folder / "plain"
    image.write_bytes(bytes(4 << 20))
    subprocess.run([tool, "-q", "-F", image], check=True, capture_output=True)

    def change(document: Json) -> None:
        document["segments"]["0"]["sector_size"] = 4096

    return disk(world, with_document(luks2_image(), change) + encrypted(image.read_bytes()))


def mapped(data: bytes) -> Callable[[World], Path]:
    return lambda world: disk(world, data)


LUKS1, LUKS2 = luks1_image() + NOISE, luks2_image() + NOISE * 2
NO_HEADER = put(LUKS2, 0, bytes(32768))
NO_KEYSLOT = put(LUKS2, 32768, bytes(300_000))
HEAD = 32768
BACKUP_WAYS = ("read", "restore", "search")
SCENES = [
    Scene(
        "unknown-requirement",
        "unsupported",
        lambda w: disk(w, with_document(luks2_image(), requires) + NOISE),
        "takes a program which knows from-the-future",
        ("show",),
        ("search",),
    ),
    Scene(
        "luks1-reencryption",
        "needs-backup",
        lambda w: disk(w, put(LUKS1, 0, b"LUKS\xde\xad")),
        "Part of the data has the old key, part the new one",
        ("ls", "dd", "cryptsetup reencrypt", "restore"),
        ("search", "reencryption"),
    ),
    Scene(
        "unknown-version",
        "unsupported",
        lambda w: disk(w, put(bytes(4 << 20), 0, b"LUKS\xba\xbe\x00\x09")),
        "unsupported LUKS version 9",
        ("show",),
        ("search",),
    ),
    Scene(
        "header-in-vault",
        "needs-backup",
        lambda w: backed_up(w, LUKS2, lambda data: put(data, 0, bytes(HEAD))),
        "a backup of the header has that key still",
        ("prove", "restore", "scan"),
        BACKUP_WAYS,
    ),
    Scene(
        "detached-header",
        "needs-backup",
        detached,
        "written to this device it would overwrite data",
        ("diagnose", "prove", "export", "scan"),
        ("read", "search"),
        never=("damaged",),
    ),
    Scene(
        "header-gone-mapped",
        "needs-key",
        mapped(NO_HEADER),
        "the volume is open right now",
        ("rebuild",),
        ("mapping", "search"),
    ),
    Scene(
        "header-gone-packet",
        "needs-key",
        lambda w: with_packet(w, LUKS2, packet_damage),
        "an escrow packet in the vault holds the key of this volume",
        ("diagnose", "escrow apply"),
        ("packet", "search"),
    ),
    Scene("empty", "not-luks", lambda w: disk(w, b""), "", ("lsblk",), ()),
    Scene(
        "volume-elsewhere",
        "not-luks",
        lambda w: disk(w, bytes(1 << 20) + LUKS2),
        f"volume {UUID} begins at byte 1048576 of it",
        ("losetup", "scan"),
        ("search",),
    ),
    Scene(
        "volume-elsewhere",
        "not-luks",
        lambda w: backed_up(w, LUKS2, lambda data: bytes(1 << 20) + data),
        "do not restore it here",
        ("losetup", "scan"),
        ("search",),
        never=("brings it back", "luksafe restore"),
    ),
    Scene(
        "partitioned",
        "not-luks",
        lambda w: partitioned(w, bytes(1 << 20)),
        "No LUKS volume begins at its start or where a partition does",
        ("scan",),
        ("search",),
        never=("destroyed", "overwritten"),
    ),
    Scene(
        "container",
        "not-luks",
        lambda w: packed(w, "qcow2"),
        "writing a header into this file would destroy it",
        ("qemu-img", "diagnose"),
        (),
        never=("losetup",),
    ),
    Scene(
        "data-gone",
        "lost",
        lambda w: discarded(w, proven=True),
        "writing it back brings none of them back",
        ("prove", "scan"),
        ("read", "restore", "search"),
        never=("brings it back",),
    ),
    Scene(
        "data-not-seen",
        "needs-backup",
        lambda w: discarded(w, proven=False),
        "a header holds the key, and brings no data back",
        ("prove", "restore", "scan"),
        ("read", "restore", "search"),
    ),
    Scene(
        "all-random",
        "needs-backup",
        lambda w: backed_up(w, LUKS2, lambda data: random.Random(8).randbytes(len(data))),
        "random bytes and encrypted data look the same",
        ("prove", "restore", "scan"),
        ("read", "restore", "search"),
        never=("brings it back",),
    ),
    Scene(
        "header-in-vault-by-name",
        "needs-backup",
        lambda w: backed_up(w, LUKS2, lambda data: bytes(1 << 20) + data[1 << 20 :]),
        "Prove it before you write anything",
        ("prove", "restore", "scan"),
        ("read", "restore", "search"),
    ),
    Scene(
        "cannot-tell",
        "needs-backup",
        lambda w: disk(w, NO_HEADER),
        "nothing here tells which",
        ("list", "import", "escrow apply", "scan"),
        ("search",),
    ),
    Scene(
        "not-luks",
        "not-luks",
        lambda w: disk(w, b"text, and nothing else. " * 100_000),
        "nothing says that one was there",
        ("scan",),
        ("search",),
    ),
    Scene(
        "no-data-left",
        "lost",
        lambda w: disk(w, luks2_image()[:4096] + bytes(24 << 20)),
        "A header backup or a key brings no data back",
        ("list", "import", "escrow apply", "scan"),
        ("search",),
    ),
    Scene(
        "repair-not-found-yet",
        "needs-backup",
        lambda w: disk(w, put(put(LUKS2, 4200, b"XYZ"), 20584, b"ZYX")),
        "'luksafe repair' searches longer",
        ("list", "import", "escrow apply", "repair", "scan"),
        ("search",),
    ),
    Scene(
        "header-gone",
        "needs-backup",
        lambda w: disk(w, packet_damage(LUKS2)),
        "The vault has no backup that is known to be of this device",
        ("list", "import", "escrow apply", "scan"),
        ("search",),
    ),
    Scene(
        "keyslot-table-overwritten",
        "needs-backup",
        lambda w: backed_up(w, LUKS1, lambda data: put(data, 208, NOISE[: 592 - 208])),
        "the table of its keyslots was overwritten",
        ("prove", "restore", "scan"),
        BACKUP_WAYS,
        never=("erased", "the device ends"),
    ),
    Scene(
        "keyslots-destroyed-mapped",
        "needs-key",
        mapped(NO_KEYSLOT),
        "keyslots can be made round it while it stays open",
        ("rebuild",),
        ("mapping", "search"),
    ),
    Scene(
        "keyslots-destroyed-packet",
        "needs-key",
        lambda w: with_packet(w, LUKS2, lambda data: NO_KEYSLOT),
        "whoever opens it can give the volume a passphrase",
        ("diagnose", "escrow apply"),
        ("packet", "search"),
    ),
    Scene(
        "keyslots-destroyed",
        "needs-backup",
        lambda w: backed_up(w, LUKS2, lambda data: NO_KEYSLOT),
        "which has keyslots still",
        ("prove", "restore", "scan"),
        BACKUP_WAYS,
    ),
    Scene(
        "erased-mapped",
        "needs-key",
        mapped(with_document(luks2_image(), without_keyslots) + NOISE),
        "they were erased (cryptsetup luksErase)",
        ("rebuild",),
        ("mapping", "search"),
        never=("damaged", "destroyed"),
    ),
    Scene(
        "erased-packet",
        "needs-key",
        lambda w: with_packet(w, LUKS2, lambda data: with_document(luks2_image(), without_keyslots) + NOISE),
        "whoever opens it can give the volume a passphrase",
        ("diagnose", "escrow apply"),
        ("packet", "search"),
        never=("damaged", "destroyed"),
    ),
    Scene(
        "erased",
        "needs-backup",
        lambda w: erased(w, kept=True),
        "If that was done on purpose, leave it so",
        ("prove", "restore", "scan"),
        BACKUP_WAYS,
        never=("damaged", "destroyed"),
    ),
    Scene(
        "keyslot-destroyed",
        "needs-backup",
        one_of_two_destroyed,
        "Keyslot 0 is whole, as far as can be seen: its passphrase opens the volume",
        ("prove", "backup", "import"),
        ("passphrase",),
        never=("was in the part that is gone", "cannot be mended"),
    ),
    Scene(
        "keyslot-destroyed",
        "needs-backup",
        one_of_two_destroyed_but_kept,
        "Keyslot 0 is whole, as far as can be seen: its passphrase opens the volume",
        ("prove", "restore"),
        ("passphrase", "read", "restore"),
        never=("was in the part that is gone", "cannot be mended"),
    ),
    Scene(
        "decrypted",
        "not-luks",
        lambda w: disk(w, with_document(luks2_image(), in_the_clear) + bytes(1 << 20)),
        "Nothing is lost; there is nothing to open or to restore",
        ("show",),
        (),
        never=("destroyed", "luksafe restore"),
    ),
    Scene(
        "header-file-cut",
        "needs-backup",
        lambda w: disk(w, luks2_image(data_offset=0)[:40_000]),
        "the data are on another device and not touched by that",
        ("list", "import", "escrow apply", "scan"),
        (),
    ),
    Scene(
        "uuid-damaged",
        "repairable",
        lambda w: disk(w, put(LUKS1, 168, b"\xff" * 40)),
        "It can be set again",
        ("repair --uuid",),
        ("repair",),
        never=("destroyed", "lost"),
    ),
    Scene(
        "data-overwritten",
        "healthy",
        backup_table_behind,
        "so it opens; but gpt was written over part of the data",
        ("backup", "prove"),
        ("passphrase",),
        never=("destroyed", "lost"),
    ),
    Scene(
        "device-cut",
        "needs-backup",
        lambda w: disk(w, LUKS2[: 1 << 19]),
        "what is missing are the data",
        ("lsblk", "show"),
        ("search",),
    ),
    Scene(
        "repair-falls-short",
        "needs-backup",
        lambda w: disk(w, put(LUKS1, 72, b"shaX56")),
        "hash 'shaX56' is not known here",
        ("list", "import", "escrow apply", "scan"),
        ("passphrase", "search"),
    ),
    Scene(
        "contradicted",
        "needs-backup",
        lambda w: backed_up(w, LUKS1, lambda data: put(data, 106, b"\x18\x00")),
        "it says what it cannot say",
        ("prove", "restore", "scan"),
        ("read", "restore", "passphrase", "search"),
    ),
    Scene(
        "uuid-changed",
        "repairable",
        lambda w: backed_up(w, LUKS1, lambda data: put(data, 168, b"3")),
        f"A backup in the vault knows it: {UUID}",
        ("repair --uuid",),
        ("repair", "read", "restore"),
    ),
    Scene(
        "copies-contradict",
        "repairable",
        lambda w: disk(w, with_binary(luks2_image(), (1,), label="x") + NOISE),
        "nothing on the device tells",
        ("repair --take primary", "repair --take secondary"),
        ("repair:primary", "repair:secondary"),
        never=("checksums tell which copy is right",),
    ),
    Scene(
        "repairable",
        "repairable",
        lambda w: disk(w, put(LUKS1, 0, bytes(6))),
        "put the magic back",
        ("repair",),
        ("repair",),
        never=("kept twice", "checksum"),
    ),
    Scene(
        "repairable",
        "repairable",
        lambda w: disk(w, put(LUKS2, 0, bytes(4096))),
        "write the primary header anew from the secondary one",
        ("repair",),
        ("repair",),
    ),
    Scene(
        "repairable-unproven",
        "repairable",
        lambda w: disk(w, put(put(LUKS2, 168, NOISE[:40]), 16384 + 168, NOISE[40:80])),
        "not proven before a passphrase opens it",
        ("repair",),
        ("repair",),
        never=("destroyed", "lost", "what its checksum proves"),
    ),
    Scene(
        "formatted-again",
        "needs-backup",
        formatted_again,
        "it is not that of the volume which this device held before",
        ("prove", "restore", "scan"),
        BACKUP_WAYS,
    ),
    Scene(
        "wrong-parameters",
        "needs-backup",
        other_cipher,
        "The key that was given is the right one",
        ("list", "import", "escrow apply", "scan"),
        ("passphrase",),
        ("--key-file", "passphrase"),
    ),
    Scene(
        "key-rejected",
        "needs-key",
        lambda w: disk(w, LUKS2),
        "the key that was given does not open it",
        ("diagnose", "escrow apply"),
        ("passphrase",),
        ("--key-file", "disk.img"),
        never=("nothing opens it",),
    ),
    Scene(
        "in-reencryption",
        "healthy",
        reencrypting,
        "the header knows how far it came",
        ("backup", "cryptsetup reencrypt", "prove"),
        ("passphrase", "reencryption"),
    ),
    Scene(
        "healthy",
        "healthy",
        lambda w: disk(w, LUKS2),
        "Header and keyslots show no damage",
        ("backup", "prove"),
        ("passphrase",),
        never=("damaged", "destroyed", "lost"),
    ),
]


def verb_of(command: str) -> str:
    words = [word for word in command.split() if word != "luksafe"]
    options = {"--take", "--uuid"}
    if words[0] in ("escrow", "cryptsetup"):
        return " ".join(words[:2])
    taken = [f"{a} {b}" if a == "--take" else a for a, b in zip(words, [*words[1:], ""], strict=True) if a in options]
    return " ".join([words[0], *taken])


def said(world: World, path: Path, scene: Scene) -> dict[str, Any]:
    ran = world.run("diagnose", path, *scene.arguments, "--json", "--html", world.folder / "report.html")
    return {**ran.json, "status": ran.status}


@pytest.fixture
def mapping_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    yield lambda path: monkeypatch.setattr(facts, "mappings_over", lambda _: [mapping(path)])


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.code)
def test_every_text_follows_from_the_rule_that_fired(
    world: World, scene: Scene, mapping_of: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = scene.make(world)
    if scene.code.endswith("-mapped"):
        mapping_of(path)
    if scene.code == "repair-not-found-yet":
        monkeypatch.setattr(facts, "REPAIR_SECONDS", 0.0)
    before = path.read_bytes()
    diagnosis = said(world, path, scene)
    assert (diagnosis["rule"], diagnosis["verdict"]) == (scene.code, scene.verdict)
    assert diagnosis["status"] == {"healthy": 0, "unsupported": 13}.get(scene.verdict, 10)
    assert tuple(dict.fromkeys(map(verb_of, diagnosis["next"])))[: len(scene.next)] == scene.next
    report = (world.folder / "report.html").read_text()
    assert escape(scene.says) in report
    assert escape(diagnosis["summary"]) in report
    if scene.verdict != "not-luks" or scene.code != "empty":
        rescue = world.run("rescue", path, "--json").json
        named = [way["key"] for way in rescue["ways"]]
        keys = {key if key.startswith("repair:") else key.partition(":")[0] for key in named}
        told = " ".join(rescue["story"])
        if not scene.arguments:
            assert rescue["rule"] == scene.code
            assert scene.says in told
            assert keys == set(scene.ways)
            assert [way["chance"] for way in rescue["ways"]] == sorted(
                (way["chance"] for way in rescue["ways"]), key=["very-likely", "likely", "may"].index
            )
        for word in scene.never:
            assert word not in told + report.partition("</style>")[2].partition("<h2>Map")[0], word
    checked = world.run("check", path)
    if scene.verdict not in ("healthy", "not-luks"):
        assert checked.status == (3 if scene.code == "detached-header" else 10)
    assert path.read_bytes() == before


def test_offsets_of_garbage_say_nothing_of_the_size_of_the_device(world: World) -> None:
    path = backed_up(world, LUKS1, lambda data: put(data, 256, NOISE[: 592 - 256]))
    ran = world.run("diagnose", path, "--json").json
    assert (ran["verdict"], ran["rule"]) == ("needs-backup", "repair-falls-short")
    assert "the device ends" not in ran["summary"]
    (name,) = [backup["id"] for backup in world.run("list", "--json").json["backups"]]
    assert f"luksafe restore {name[:12]} {path} --dry-run" in ran["next"]


def bad_digest(document: Json) -> None:
    document["digests"]["0"]["iterations"] += 1


DIGEST_DAMAGE = {
    "luks2": (LUKS2, lambda data: with_document(luks2_image(), bad_digest) + data[1 << 20 :]),
    "luks1": (LUKS1, lambda data: put(data, 164, b"\0\0\x07\xd1")),
}


@pytest.mark.parametrize("luks", sorted(DIGEST_DAMAGE))
def test_a_digest_unlike_that_of_the_proven_backup_is_damage_and_no_wrong_passphrase(world: World, luks: str) -> None:
    whole, damage = DIGEST_DAMAGE[luks]
    path = disk(world, whole)
    assert world.run("backup", path).status in (0, 3)
    assert world.run("prove", UUID, "--key-file", world.key_file).status in (0, 3)
    path.write_bytes(damage(whole))
    ran = world.run("diagnose", path, "--key-file", world.key_file, "--json").json
    assert (ran["verdict"], ran["rule"]) == ("needs-backup", "contradicted")
    (said,) = [f["text"] for f in ran["findings"] if f["code"] == "key-rejected"]
    assert "may well be the right one" in said
    assert "certain" not in said
    assert any(line.startswith("luksafe restore ") for line in ran["next"])


CONTAINERS = {
    "qcow2": ("qcow2", "qemu-img convert -O raw"),
    "vmdk": ("vmdk", "qemu-img convert -O raw"),
    "vdi": ("vdi", "qemu-img convert -O raw"),
    "vpc": ("vpc", "qemu-img convert -O raw"),
    "vhdx": ("vhdx", "qemu-img convert -O raw"),
}
PACKERS = {"gzip": ("gzip", "-c"), "xz": ("xz", "-0", "-c"), "zstd": ("zstd", "-q", "-c"), "bzip2": ("bzip2", "-c")}


@pytest.mark.parametrize("form", [*CONTAINERS, *PACKERS])
def test_a_container_is_named_and_its_command_unpacks_it(world: World, form: str) -> None:
    tool = "qemu-img" if form in CONTAINERS else form
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool}")
    if form in CONTAINERS:
        path = packed(world, form)
    else:
        raw = world.folder / "raw"
        raw.write_bytes(LUKS2)
        path = world.folder / "disk.img"
        with path.open("wb") as out:
            subprocess.run([*PACKERS[form], raw], stdout=out, check=True)
    ran = world.run("diagnose", path, "--json").json
    assert (ran["verdict"], ran["rule"]) == ("not-luks", "container")
    assert form.replace("vpc", "vhd") in ran["summary"]
    unpack, look = ran["next"]
    subprocess.run(unpack, shell=True, check=True, capture_output=True, cwd=world.folder)
    assert world.run(*look.split()[1:], "--json").json["verdict"] == "healthy"


FOREIGN = {
    "a text that begins with the magic": b"LUKS\xba\xbe is how a header begins, says the text.\n" * 50_000,
    "a second magic in a text": put(b"some text that goes on and on\n" * 60_000, 16384, b"SKUL\xba\xbe"),
    "a second magic in random bytes": put(random.Random(4).randbytes(2 << 20), 16384, b"SKUL\xba\xbe\0\x02"),
    "a second magic in zeros": put(bytes(2 << 20), 16384, b"SKUL\xba\xbe\0\x02"),
    "BitLocker's first bytes": put(random.Random(5).randbytes(2 << 20), 0, b"\xeb\x58\x90-FVE-FS-"),
    "zeros before random bytes": bytes(1 << 20) + random.Random(6).randbytes(2 << 20),
    "random bytes": random.Random(7).randbytes(2 << 20),
    "zeros": bytes(2 << 20),
}


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_what_is_no_luks_is_never_lost(world: World, name: str) -> None:
    ran = world.run("diagnose", disk(world, FOREIGN[name]), "--json").json
    assert (ran["verdict"], ran["headline"]) in (("not-luks", "not-luks"), ("needs-backup", "cannot tell"))
    assert "destroyed" not in ran["summary"]


SHIFTS = (512, 4096, 1 << 20, (1 << 20) + 512, -512)


@pytest.mark.parametrize(("luks", "shift"), [*((LUKS2, n) for n in SHIFTS), (LUKS1, 512), (LUKS1, 1 << 20)])
def test_a_whole_volume_elsewhere_comes_before_every_backup(world: World, luks: bytes, shift: int) -> None:
    """Copied with an offset, through a bridge with other sectors, or its table is lost."""
    path = backed_up(world, luks, lambda data: bytes(shift) + data if shift > 0 else data[-shift:])
    ran = world.run("diagnose", path, "--json").json
    assert (ran["verdict"], ran["rule"]) == ("not-luks", "volume-elsewhere")
    assert (f"byte {shift} " if shift > 0 else f"{-shift} bytes before") in ran["summary"]
    assert not any(line.startswith("luksafe restore") for line in ran["next"])
    rescue = world.run("rescue", path, "--json").json
    assert not any(way["key"].startswith(("restore", "read")) for way in rescue["ways"])
    (volume,) = world.run("check", path, "--json").json["volumes"]
    assert not any(reason["next"].startswith("luksafe restore") for reason in volume["reasons"])


def test_a_partitioned_disk_names_the_volume_in_it_though_a_backup_has_its_name(world: World) -> None:
    path = disk(world, LUKS2)
    assert world.run("backup", path).status in (0, 3)
    path = partitioned(world, LUKS2)
    ran = world.run("diagnose", path, "--json").json
    assert (ran["verdict"], ran["rule"]) == ("not-luks", "volume-elsewhere")
    assert f"volume {UUID} is partition 1, at byte 1048576" in ran["summary"]
    assert ran["regions"] == []
    assert "destroyed" not in world.run("diagnose", path).out


def test_a_detached_header_that_was_cut_is_offered_whole_from_the_vault(world: World) -> None:
    path = detached(world)
    (name,) = [backup["id"] for backup in world.run("list", "--json").json["backups"]]
    header = world.folder / "head.img"
    assert world.run("export", name, header).status == 0
    header.write_bytes(header.read_bytes()[:40_000])
    ran = world.run("diagnose", path, "--header", header, "--json").json
    assert (ran["verdict"], ran["rule"]) == ("needs-backup", "header-file-cut")
    proving, export = ran["next"]
    assert proving == f"luksafe prove {name[:12]} --data {path}"
    assert world.run(*export.split()[1:]).status == 0
    whole = Path(export.split()[-1])
    assert world.run("prove", path, "--header", whole, "--key-file", world.key_file).status in (0, 3, 10)
    assert world.run("diagnose", path, "--header", whole, "--json").json["verdict"] == "healthy"


def test_decrypted_on_purpose_by_cryptsetup_has_nothing_to_restore(world: World) -> None:
    volume = make_volume(KINDS["luks2-xts-512"], world.folder, bytes(1080) + b"\x53\xef" + bytes((4 << 20) - 1082))
    assert world.run("backup", volume.disk).status in (0, 3)
    header = world.folder / "exported"
    options = ("--decrypt", "--force-offline-reencrypt", "--header", header, "--key-file", volume.passphrase_file)
    cryptsetup("reencrypt", *options, volume.disk)
    subprocess.run(["mkfs.ext4", "-q", "-F", volume.disk], check=True, capture_output=True)
    ran = world.run("diagnose", volume.disk, "--header", header, "--json").json
    assert (ran["verdict"], ran["rule"], ran["headline"]) == ("not-luks", "decrypted", "decrypted")
    assert "from byte 0 on, as ext4" in ran["summary"]
    assert ran["next"] == [f"luksafe show {volume.disk} --header {header}"]
    assert not any(part["state"] == "destroyed" for part in ran["regions"])
    out = world.run("diagnose", volume.disk, "--header", header).out
    assert out.startswith("DECRYPTED")
    assert "overwritten" not in out
    alone = world.run("diagnose", volume.disk, "--json").json
    assert alone["verdict"] != "lost"
    assert "decrypted on purpose" in world.run("rescue", volume.disk, "--json").out


def test_after_an_erase_the_proven_backup_comes_first_and_the_empty_one_is_not_offered(world: World) -> None:
    path = two_keyslots(world)
    assert world.run("backup", path).status in (0, 3)
    assert world.run("prove", UUID, "--key-file", world.key_file).status in (0, 3)
    (good,) = [backup["id"] for backup in world.run("list", "--json").json["backups"]]
    cryptsetup("luksErase", path)
    world.run("backup", path)
    ran = world.run("diagnose", path, "--json").json
    restores = [line for line in ran["next"] if line.startswith("luksafe restore")]
    assert restores == [f"luksafe restore {good[:12]} {path} --dry-run"]
    ways = world.run("rescue", path, "--json").json["ways"]
    assert [way["key"] for way in ways][:1] == [f"read:{good[:12]}"]
    assert ways[0]["chance"] == "very-likely"
    assert {way["key"].partition(":")[2] for way in ways if ":" in way["key"]} == {good[:12]}


def test_a_reencryption_goes_on_by_the_commands_as_they_are_printed(world: World) -> None:
    path = reencrypting(world)
    commands = world.run("diagnose", path, "--json").json["next"]
    (resume,) = [line for line in commands if line.startswith("cryptsetup reencrypt")]
    done = subprocess.run([*resume.split(), "-q", "--key-file", world.key_file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert world.run("diagnose", path, "--json").json["rule"] == "healthy"


def test_nothing_leads_from_a_scan_back_to_the_diagnosis_that_led_there(world: World) -> None:
    path = disk(world, b"text, and nothing else. " * 100_000)
    assert world.run("diagnose", path, "--json").json["next"] == [f"luksafe scan {path}"]
    assert f"luksafe diagnose {path}" not in world.run("scan", path).out


def test_after_variants_were_tried_they_are_not_proposed_again(world: World) -> None:
    path = disk(world, LUKS2)
    world.key_file.write_bytes(b"something else altogether")
    ran = world.run("diagnose", path, "--key-file", world.key_file, "--try-variants", "--json").json
    assert ran["rule"] == "key-rejected"
    assert not any("--try-variants" in line for line in ran["next"])


def test_zeros_before_encrypted_data_are_not_free_to_format(world: World) -> None:
    """Where the data begin at an unusual byte, nothing but them tells of the volume."""
    path = disk(world, bytes((16 << 20) + 151_552) + random.Random(12).randbytes(2 << 20))
    ran = world.run("diagnose", path, "--json").json
    assert (ran["verdict"], ran["rule"]) == ("needs-backup", "cannot-tell")


def test_the_table_of_the_specification_is_the_code() -> None:
    text = (ROOT / "spec" / "diagnosis.md").read_text()
    rows = re.findall(r"^\| (\d+) \| `([a-z0-9-]+)` \| (.+) \| `([a-z-]+)` \|$", text, re.MULTILINE)
    assert [(int(n), code, seen, verdict) for n, code, seen, verdict in rows] == [
        (number, rule.code, rule.seen, rule.verdict.value) for number, rule in enumerate(RULES, 1)
    ]


def test_every_rule_has_its_scene() -> None:
    rare = {"copies-differ", "header-refused"}
    assert {scene.code for scene in SCENES} | rare == {rule.code for rule in RULES}


def test_nothing_is_written_into_a_container_without_its_own_option(world: World) -> None:
    path = packed(world, "qcow2")
    before = path.read_bytes()
    (name,) = [backup["id"] for backup in world.run("list", "--json").json["backups"]]
    refused = world.run("restore", name, path, "--yes", "--allow-smaller")
    assert refused.status == 14
    assert "a disk image of QEMU (qcow2)" in re.sub(r"\s+", " ", refused.out + refused.err)
    assert world.run("repair", path, "--yes").status == 14
    assert path.read_bytes() == before
    listed = world.run("restore", name, path, "--dry-run", "--json").json["plan"]["dangers"]
    assert ("container", "--over qcow2") in [(danger["code"], danger["flag"]) for danger in listed]
