"""The header is gone; there is a packet, or paper, or some of the shares: the commands that a user types to get in."""

from __future__ import annotations

import hashlib
import json
import random
import shlex
import shutil
import subprocess
from pathlib import Path

import escrow_samples as samples
import lost_headers as lost
import pypdfium2
import pyrage
import pytest
import sheet_examples as examples
from cli.conftest import Ran, World
from lost_headers import KINDS, LostVolume

from luksafe.paper.pdf import render_pdf

TOOLS = ("cryptsetup", "mkfs.ext4", "pdftoppm")
missing = [tool for tool in TOOLS if shutil.which(tool) is None]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")

NEW = b"a new passphrase"
PACKET_PASSPHRASE = b"words that open the packet"


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return lost.plaintext(tmp_path_factory.mktemp("ext4"))


@pytest.fixture
def volume(request: pytest.FixtureRequest, world: World, content: bytes) -> LostVolume:
    (world.folder / "new").write_bytes(NEW)
    (world.folder / "words").write_bytes(PACKET_PASSPHRASE)
    (world.folder / "stick").mkdir()
    return lost.make_volume(KINDS[request.param], world.folder, content)


def save(world: World, volume: LostVolume, *how: object) -> Path:
    """The packet in a file of its own; then the vault is lost as well."""
    options = ("--key-file", volume.passphrase_file, "--output", world.folder / "stick", *volume.header_options)
    ran = world.run("escrow", "save", volume.disk, *options, *how, "--yes", "--json")
    assert ran.status == 0, ran.err
    shutil.rmtree(world.vault)
    [packet] = (world.folder / "stick").glob("*.age")
    return packet


def apply(world: World, volume: LostVolume, packet: object, *how: object) -> Ran:
    options = ("--new-key-file", world.folder / "new", *lost.CHEAP, *volume.header_options)
    return world.run("escrow", "apply", packet, volume.disk, *how, *options)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_access(world: World, volume: LostVolume, content: bytes) -> None:
    """cryptsetup opens it with the new passphrase, and the volume key and every byte of the data are the old ones."""
    new = world.folder / "new"
    options = ["--test-passphrase", "--key-file", str(new), *volume.header_options]
    lost.run("cryptsetup", "open", *options, str(volume.disk))
    assert lost.dump_volume_key(volume.header, new, world.folder / "rebuilt.key") == volume.volume_key
    old = ["--test-passphrase", "--key-file", str(volume.passphrase_file), *volume.header_options]
    assert subprocess.run(["cryptsetup", "open", *old, str(volume.disk)], capture_output=True).returncode == 2
    ran = world.run("extract", volume.disk, "out", "--key-file", new, *volume.header_options, "--yes")
    assert ran.status == 0, ran.err
    assert (world.folder / "out").read_bytes() == content


def rebuilt(world: World, volume: LostVolume, content: bytes, packet: object, *how: object) -> None:
    """Plan, refuse without a word, write, compare, and take it back."""
    volume.lose()
    before = digest(volume.disk)
    planned = apply(world, volume, packet, *how, "--dry-run", "--json")
    assert planned.status == 0, planned.err
    assert digest(volume.disk) == before
    done = apply(world, volume, packet, *how, "--yes")
    assert done.status == 0, done.err
    assert "next: luksafe" in done.out
    check_access(world, volume, content)
    if volume.kind.is_detached:
        assert digest(volume.disk) == before
        return
    undone = world.run("undo", volume.disk, "--yes")
    assert undone.status == 0, undone.err
    assert digest(volume.disk) == before


every_kind = pytest.mark.parametrize("volume", KINDS, indirect=True)


@every_kind
def test_from_the_packet_alone(world: World, volume: LostVolume, content: bytes, identity: Path) -> None:
    packet = save(world, volume, "--recipient", samples.age_identity().to_public())
    packet.with_suffix(".json").unlink()
    rebuilt(world, volume, content, packet, "--identity", identity)


@pytest.mark.slow
@every_kind
def test_from_the_sheet_of_a_packet(world: World, volume: LostVolume, content: bytes) -> None:
    packet = save(world, volume, "--recipient", "passphrase", "--packet-key-file", world.folder / "words")
    assert world.run("paper", "print", packet, "sheet.pdf").status == 0
    shutil.rmtree(world.folder / "stick")
    scan = lost.scanned(world.folder / "sheet.pdf", world.folder / "scan")
    rebuilt(world, volume, content, scan, "--key-file", world.folder / "words")


@pytest.mark.slow
@every_kind
def test_from_three_of_five_share_sheets(world: World, volume: LostVolume, content: bytes) -> None:
    shares = world.folder / "shares"
    shares.mkdir()
    packet = save(world, volume, "--shares", "3/5", "--shares-dir", shares)
    packet.with_suffix(".json").unlink()
    scans: list[object] = []
    for number, share in enumerate(sorted(shares.iterdir())):
        sheet = world.folder / f"{number}.pdf"
        assert world.run("paper", "print", share, sheet).status == 0
        if number in (0, 2, 4):
            scans += ["--share", lost.scanned(sheet, world.folder / f"scan{number}")]
        sheet.unlink()
    shutil.rmtree(shares)
    assert apply(world, volume, packet, *scans[:4], "--dry-run").status == 2  # two are too few
    rebuilt(world, volume, content, packet, *scans)


@pytest.mark.slow
@every_kind
def test_from_the_sheet_of_a_volume_key(world: World, volume: LostVolume, content: bytes) -> None:
    """The key from a picture, the command with every parameter from the text of the sheet."""
    (world.folder / "vk").write_bytes(volume.volume_key)
    options = ("--kind", "volume-key", "--opens", volume.disk, *volume.header_options)
    assert world.run("paper", "print", "vk", "sheet.pdf", *options).status == 0
    scan = lost.scanned(world.folder / "sheet.pdf", world.folder / "scan")
    volume.lose()
    before = digest(volume.disk)
    assert world.run("paper", "read", scan, "--output", "volume.key").status == 0
    command = printed_command(world.folder / "sheet.pdf", "luksafe rebuild")
    words = [{"DEVICE": str(volume.disk)}.get(word, word) for word in shlex.split(command)]
    detached = ("--to", volume.header) if volume.kind.is_detached else ()
    options = ("--new-key-file", world.folder / "new", *lost.CHEAP, *detached, "--yes")
    ran = world.run(*words[1:], *options)
    assert ran.status == 0, ran.err
    check_access(world, volume, content)
    if not volume.kind.is_detached:
        assert world.run("undo", volume.disk, "--yes").status == 0
    assert digest(volume.disk) == before


def printed_command(sheet: Path, start: str) -> str:
    """A command as it stands on the paper: a backslash at the end of a line continues it."""
    document = pypdfium2.PdfDocument(sheet)
    lines = iter([line.strip() for page in document for line in page.get_textpage().get_text_bounded().splitlines()])
    document.close()
    found = next(line[line.index(start) :] for line in lines if start in line)
    while found.endswith("\\"):
        found = found[:-1] + next(lines)
    return found


some_kinds = pytest.mark.parametrize("volume", ["luks1-essiv-odd", "luks2-xts-4096-odd"], indirect=True)


@some_kinds
@pytest.mark.parametrize("verb", ["apply", "rebuild"])
def test_a_packet_of_another_volume_is_refused(
    world: World, volume: LostVolume, content: bytes, identity: Path, verb: str
) -> None:
    (world.folder / "other").mkdir()
    other = lost.make_volume(volume.kind, world.folder / "other", content)
    packet = save(world, other, "--recipient", samples.age_identity().to_public())
    volume.lose()
    before = digest(volume.disk)
    assert apply_as(verb, world, volume, packet, identity) == 14
    assert digest(volume.disk) == before


ALTERED = {
    "sector-size": ({"sector_size": 2048}, "canary"),
    "iv-offset": ({"iv_tweak": "8"}, "canary"),
    "data-offset": ({"offset": str(20 << 20)}, "noise"),
}


@pytest.mark.parametrize("volume", ["luks2-xts-4096-odd"], indirect=True)
@pytest.mark.parametrize("name", ALTERED)
@pytest.mark.parametrize("verb", ["apply", "rebuild"])
def test_altered_parameters_are_refused(world: World, volume: LostVolume, identity: Path, verb: str, name: str) -> None:
    packet = save(world, volume, "--recipient", samples.age_identity().to_public())
    changes, why = ALTERED[name]
    document = json.loads(pyrage.decrypt(packet.read_bytes(), [samples.age_identity()]))
    document["volume"]["segments"]["0"] |= changes
    altered = pyrage.encrypt(json.dumps(document).encode(), [samples.age_identity().to_public()])
    packet.with_suffix(".json").unlink()
    packet.write_bytes(altered)
    volume.lose()
    before = digest(volume.disk)
    assert apply_as(verb, world, volume, packet, identity) == 14
    planned = world.run("escrow", "apply", packet, volume.disk, "--identity", identity, "--dry-run")
    assert why in planned.out + planned.err
    assert digest(volume.disk) == before


def apply_as(verb: str, world: World, volume: LostVolume, packet: Path, identity: Path) -> int:
    options = ("--identity", identity, "--new-key-file", world.folder / "new", *lost.CHEAP, "--yes")
    if verb == "apply":
        return world.run("escrow", "apply", packet, volume.disk, *options).status
    return world.run("rebuild", volume.disk, "--packet", packet, *options).status


@pytest.mark.parametrize("volume", ["luks2-xts-4096-detached"], indirect=True)
def test_a_detached_header_goes_into_a_new_file_only(world: World, volume: LostVolume, identity: Path) -> None:
    packet = save(world, volume, "--recipient", samples.age_identity().to_public())
    volume.header.write_bytes(bytes(1 << 20))
    before = digest(volume.disk), digest(volume.header)
    opener = ("--identity", identity, "--new-key-file", world.folder / "new", "--yes")
    for header in (("--header", volume.header), ()):
        ran = world.run("escrow", "apply", packet, volume.disk, *header, *opener)
        assert ran.status in (2, 12)
        assert f"luksafe escrow apply {packet} {volume.disk} --header NEW-FILE" in ran.err
    assert (digest(volume.disk), digest(volume.header)) == before


@pytest.mark.parametrize("volume", ["luks1-xts"], indirect=True)
def test_zeros_that_reach_into_the_data(world: World, volume: LostVolume, content: bytes, identity: Path) -> None:
    """What is left of the data tells that it is they, without a flag, and is as it was."""
    packet = save(world, volume, "--recipient", samples.age_identity().to_public())
    lost_data = 4 << 20
    with volume.disk.open("r+b") as file:
        file.write(bytes(lost.LOST_BYTES + lost_data))
    ran = apply(world, volume, packet, "--identity", identity, "--yes")
    assert ran.status == 0, ran.err
    assert "further on there are" in ran.err
    assert world.run("extract", volume.disk, "out", "--key-file", world.folder / "new").status in (0, 3)
    assert (world.folder / "out").read_bytes()[lost_data:] == content[lost_data:]


def test_what_is_on_a_scan_instead_is_said(world: World, identity: Path) -> None:
    for name, make in (("share", examples.share), ("volume-key", examples.volume_key)):
        sheet = world.folder / f"{name}.pdf"
        sheet.write_bytes(render_pdf(make()))
        ran = world.run("escrow", "open", sheet, "--identity", identity)
        assert (ran.status, f"a sheet of the kind {name}, and no packet" in ran.err) == (12, True), ran.err
    blank = world.folder / "blank"
    blank.mkdir()
    ran = world.run("escrow", "open", blank, "--identity", identity)
    assert ran.status == 12
    assert "no code of a luksafe sheet" in ran.err
    sheets = [world.folder / f"packet{seed}.pdf" for seed in (1, 2)]
    for seed, sheet in enumerate(sheets):
        sheet.write_bytes(render_pdf(examples.packet(seed=seed)))
        sheet.rename(blank / sheet.name)
    ran = world.run("escrow", "open", blank, "--identity", identity)
    assert ran.status == 2
    assert "shows 2 packets" in ran.err
    ran = world.run("escrow", "open", "packet", "--share", world.folder / "volume-key.pdf")
    assert ran.status == 15


def test_data_that_do_not_tell_are_not_taken_for_another_disks(world: World, identity: Path) -> None:
    """A canary proves that key and parameters belong together, not that they are of this device."""
    disk = world.image()
    disk.write_bytes(disk.read_bytes().ljust(4 << 20, b"\0"))
    same_size, larger = world.image("same.img", bytes(4 << 20)), world.image("larger.img", bytes(5 << 20))
    recipient = samples.age_identity().to_public()
    ran = world.run("escrow", "save", disk, "--key-file", world.key_file, "--recipient", recipient, "--json")
    packet = ran.json["packets"][0]["id"]
    assert world.run("backup", disk).status == 0
    opener = ("--identity", identity, "--new-key-file", world.key_file, *lost.CHEAP)
    for other, why in ((larger, "5242880"), (same_size, f"nothing tells {same_size} from another device")):
        for command in (("escrow", "apply", packet, other), ("rebuild", other, "--packet", packet)):
            planned = world.run(*command, *opener, "--dry-run")
            assert (planned.status, why in planned.out) == (14, True), planned.out
            ran = world.run(*command, *opener, "--yes", "--allow-unproven", "--allow-noise", "--allow-other-volume")
            assert (ran.status, why in ran.err, "--allow-unknown-device" in ran.err) == (14, True, True), ran.err
            assert not any(other.read_bytes())
    done = world.run("escrow", "apply", packet, same_size, *opener, "--allow-unknown-device", "--yes")
    assert done.status == 0, done.err


def test_data_that_tell_need_no_serial_number(world: World, identity: Path, content: bytes) -> None:
    """And those that tell otherwise are no ground for a header, whatever the numbers say."""
    volume = lost.make_volume(KINDS["luks2-xts-512"], world.folder, content)
    recipient = samples.age_identity().to_public()
    ran = world.run("escrow", "save", volume.disk, "--key-file", volume.passphrase_file, "--recipient", recipient)
    assert ran.status == 0, ran.err
    packet = next(world.vault.glob("*/*.age"))
    volume.lose()
    moved = volume.disk.rename(world.folder / "moved.img")
    opener = ("--identity", identity, "--new-key-file", world.key_file, *lost.CHEAP, "--yes")
    assert world.run("escrow", "apply", packet, moved, *opener).status == 0
    with moved.open("r+b") as file:
        file.write(bytes(lost.LOST_BYTES) + random.Random(1).randbytes(len(content)))
    ran = world.run("escrow", "apply", packet, moved, *opener, "--allow-unknown-device")
    assert (ran.status, "--allow-noise" in ran.err) == (14, True), ran.err
