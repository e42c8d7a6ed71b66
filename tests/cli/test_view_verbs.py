"""extract, mount, serve, ls and cp as a user types them."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import escrow_samples as samples
import pytest
from generators.headers import UUID, VOLUME_KEY, encrypted, luks1_image, luks2_image

from luksafe.view.mapfile import Status, parse_mapfile

MIB = 1 << 20


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An ext4 with two files."""
    if not shutil.which("mkfs.ext4"):
        pytest.skip("mkfs.ext4 is not installed")
    folder = tmp_path_factory.mktemp("plain")
    (folder / "tree" / "dir").mkdir(parents=True)
    (folder / "tree" / "letter").write_text("dear reader\n")
    (folder / "tree" / "dir" / "big").write_bytes(os.urandom(2 * MIB))
    command = ["mkfs.ext4", "-q", "-L", "inside", "-d", folder / "tree", folder / "image", "8M"]
    subprocess.run(command, check=True)
    return (folder / "image").read_bytes()


@pytest.fixture
def disk(world: Any, plain: bytes) -> Path:
    return world.image(data=luks2_image() + encrypted(plain))


@pytest.fixture
def key(world: Any) -> tuple[str, Path]:
    return "--key-file", world.key_file


def test_extract_to_a_file(world, disk, plain, key):
    ran = world.run("extract", disk, "out", *key, "--verify", "--json")
    assert ran.status == 0
    assert Path("out").read_bytes() == plain
    assert ran.json["sha256"] == hashlib.sha256(plain).hexdigest()
    assert (ran.json["found"], ran.json["bad"], ran.json["size"]) == ("ext4", [], len(plain))
    assert "decrypts to ext4" in ran.err
    again = world.run("extract", disk, "out", *key)
    assert again.status == 14
    assert "--resume" in again.err


def test_extract_to_standard_output_and_to_a_pipe(world, disk, plain, key):
    ran = subprocess.run(
        [sys.executable, "-m", "luksafe", "extract", disk, "-", *key],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert ran.returncode == 0
    assert ran.stdout == plain
    assert world.run("extract", disk, "/dev/null", *key).status == 0
    assert world.run("extract", disk, "-", *key, "--json").status == 2
    assert world.run("extract", disk, "-", *key, "--resume").status == 2


def test_extract_resumes(world, disk, plain, key):
    assert world.run("extract", disk, "out", *key, "--map", "map").status == 0
    done = Path("out").read_bytes()
    Path("map").write_text(f"0x0 ? 1\n0 {MIB} +\n{MIB} {len(plain) - MIB} ?\n")
    Path("out").write_bytes(done[:MIB] + bytes(len(plain) - MIB))
    assert world.run("extract", disk, "out", *key, "--map", "map", "--resume").status == 0
    assert Path("out").read_bytes() == plain


def test_an_interrupted_extraction_says_so_and_goes_on_later(world, key):
    disk = world.image("big.img", luks2_image())
    with disk.open("r+b") as file:
        file.truncate(2 << 30)
    command = [sys.executable, "-m", "luksafe", "extract", disk, "out", *key]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    while process.poll() is None and not (Path("out").exists() and Path("out").stat().st_blocks > 100_000):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in errors
    saved = parse_mapfile(Path("out.map").read_text())
    assert 0 < saved.total_bytes(Status.FINISHED) < saved.size_bytes
    Path("out").unlink()


def test_a_device_is_never_extracted_to(world, disk, key, loop_device):
    Path("target").write_bytes(bytes(16 * MIB))
    device = loop_device(Path("target").absolute())
    ran = world.run("extract", disk, device, *key)
    assert ran.status == 14
    assert "dd of=" in ran.err
    assert not any(Path("target").read_bytes())


def test_a_wrong_key_writes_nothing(world, disk):
    wrong = world.folder / "wrong"
    wrong.write_bytes(b"nope")
    assert world.run("extract", disk, "out", "--key-file", wrong).status == 11
    assert not Path("out").exists()
    assert not Path("out.map").exists()


def test_a_backup_and_a_damaged_device(world, disk, plain, key):
    backup_id = world.run("backup", disk, "--json").json["backups"][0]["id"]
    with disk.open("r+b") as file:
        file.write(bytes(512 << 10))
    assert world.run("extract", disk, "out", *key).status == 12
    assert world.run("extract", disk, "out", "--header", f"vault:{backup_id}", *key).status == 0
    assert Path("out").read_bytes() == plain
    assert world.run("extract", backup_id, "out2", "--data", disk, *key).status == 0
    assert Path("out2").read_bytes() == plain
    ran = world.run("extract", backup_id, "out3", *key)
    assert ran.status == 2
    assert "--data" in ran.err


def test_a_header_of_other_data_warns(world, disk, key):
    backup_id = world.run("backup", disk, "--json").json["backups"][0]["id"]
    other = world.image("other.img", bytes(MIB) + os.urandom(4 * MIB))
    ran = world.run("extract", backup_id, "out", "--data", other, *key)
    assert ran.status == 3
    assert "right device" in ran.err


def test_luks1_on_a_device_that_was_cut(world, plain, key):
    disk = world.image("one.img", luks1_image() + encrypted(plain)[: 3 * MIB])
    assert world.run("extract", disk, "out", *key).status == 0
    assert Path("out").read_bytes() == plain[: 3 * MIB]


def test_a_volume_in_the_middle_of_reencryption(world, corpus):
    disk = world.image("re.img", corpus.data("re-journal-crashed"))
    passphrase = world.folder / "re"
    passphrase.write_bytes(b"reencrypt pass 1")
    ran = world.run("extract", disk, "out", "--key-file", passphrase, "--json")
    assert ran.status == 0
    outcome = corpus.cases["re-journal-crashed"]["reencryption"]["cryptsetup_outcome"]["open"]
    assert hashlib.sha256(Path("out").read_bytes()).hexdigest() == outcome["decrypted_sha256"]
    assert [finding["code"] for finding in ran.json["findings"]] == ["hot-zone-settled"]
    ran = world.run("extract", disk, "half", "--key-file", passphrase, "--key-slot", 1, "--json")
    assert hashlib.sha256(Path("half").read_bytes()).hexdigest() == outcome["decrypted_sha256"]


def test_an_unbound_keyslot_decrypts_nothing(world, corpus):
    case = corpus.cases["g2-unbound-72"]
    attempt = next(attempt for attempt in case["unlock"] if attempt["opens"] and attempt.get("unbound"))
    passphrase = world.folder / "unbound"
    passphrase.write_text(attempt["passphrase"])
    disk = world.image("unbound.img", corpus.data("g2-unbound-72"))
    slot = attempt.get("slot", attempt.get("opened_slot"))
    ran = world.run("extract", disk, "out", "--key-file", passphrase, "--key-slot", slot)
    assert ran.status == 11
    assert "unbound" in ran.err


def test_authenticated_volumes_say_what_could_read_them(world, corpus):
    case = corpus.cases["g2-integrity-hmac-sha256"]
    passphrase = world.folder / "integrity"
    passphrase.write_text(case["unlock"][0]["passphrase"])
    disk = world.image("integrity.img", corpus.data("g2-integrity-hmac-sha256"))
    ran = world.run("extract", disk, "out", "--key-file", passphrase)
    assert ran.status == 13
    assert "dm-integrity" in ran.err


def test_a_volume_key_with_parameters_instead_of_a_header(world, disk, plain):
    volume_key = world.folder / "vk"
    volume_key.write_bytes(VOLUME_KEY)
    with disk.open("r+b") as file:
        file.write(os.urandom(MIB))
    hand = ("--volume-key-file", volume_key, "--cipher", "aes-xts-plain64")
    ran = world.run("extract", disk, "out", *hand)
    assert ran.status == 14
    assert f"with data at byte {MIB} and sectors of 512 bytes it decrypts to ext4" in ran.err
    assert not Path("out").exists()
    assert world.run("extract", disk, "out", *hand, "--data-offset", MIB).status == 0
    assert Path("out").read_bytes() == plain
    assert world.run("extract", disk, "noise", *hand, "--accept-noise").status == 3
    assert world.run("extract", disk, "out2", "--cipher", "aes-xts-plain64").status == 2
    wrong = world.folder / "wrong"
    wrong.write_bytes(bytes(64))
    assert world.run("extract", world.image("whole.img"), "out3", "--volume-key-file", wrong).status == 11


def test_a_packet_opens_it_with_and_without_a_header(world, disk, plain, key):
    identity = world.folder / "identity.txt"
    identity.write_text(f"{samples.age_identity()}\n")
    recipient = str(samples.age_identity().to_public())
    saved = world.run("escrow", "save", disk, *key, "--recipient", recipient, "--json")
    packet = ("--packet", saved.json["packets"][0]["id"], "--identity", identity)
    assert world.run("extract", disk, "out", *packet).status == 0
    with disk.open("r+b") as file:
        file.write(bytes(MIB))
    assert world.run("extract", disk, "none", *key).status == 12
    ran = world.run("extract", disk, "again", *packet)
    assert ran.status == 0
    assert "are those in packet" in ran.err
    assert Path("out").read_bytes() == Path("again").read_bytes() == plain


def test_ls(world, disk, key):
    ran = world.run("ls", disk, *key)
    assert ran.status == 0
    assert ran.out.split() == ["dir/", "letter", "lost+found/"]
    ran = world.run("ls", disk, "/dir", *key, "-l")
    assert "2 MiB" in ran.out
    assert "big" in ran.out
    entries = world.run("ls", disk, *key, "-R", "--json").json["entries"]
    assert {"path": "dir/big", "kind": "file", "size": 2 * MIB}.items() <= next(
        e for e in entries if e["path"] == "dir/big"
    ).items()
    assert world.run("ls", disk, "/nothing", *key).status == 15


def test_a_path_that_is_not_inside_names_the_command_that_lists_this_volume(world, disk, key):
    for verb in (("ls", disk, "/nothing"), ("cp", disk, "/nothing", world.folder / "out")):
        ran = world.run(*verb, *key)
        assert ran.status == 15
        assert f"next: see what there is: luksafe ls {disk}" in ran.err


def test_names_play_no_tricks_on_the_terminal(world, key, tmp_path):
    if not shutil.which("mkfs.ext4"):
        pytest.skip("mkfs.ext4 is not installed")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a\x1b[31mred\n").touch()
    subprocess.run(["mkfs.ext4", "-q", "-d", tmp_path / "tree", tmp_path / "fs", "4M"], check=True)
    disk = world.image("tricky.img", luks2_image() + encrypted((tmp_path / "fs").read_bytes()))
    assert r"a\x1b[31mred\n" in world.run("ls", disk, *key).out


def test_cp(world, disk, plain, key):
    ran = world.run("cp", disk, "/letter", "/dir", world.folder, *key, "--json")
    assert ran.status == 0
    assert (world.folder / "letter").read_text() == "dear reader\n"
    assert (world.folder / "dir" / "big").stat().st_size == 2 * MIB
    assert (ran.json["files"], ran.json["folders"]) == (2, 1)
    assert world.run("cp", disk, "/letter", world.folder / "renamed", *key).status == 0
    assert world.run("cp", disk, "/letter", world.folder / "renamed", *key).status == 14
    assert world.run("cp", disk, "/letter", "/dir", world.folder / "nowhere", *key).status == 2


def test_several_volumes_inside(world, plain, key):
    if not shutil.which("sfdisk"):
        pytest.skip("sfdisk is not installed")
    inner = Path("inner")
    with inner.open("wb") as file:
        file.truncate(20 * MIB)
    table = "label: gpt\nstart=2048, size=16384\nstart=20480, size=16384\n"
    subprocess.run(["sfdisk", "-q", inner], input=table, text=True, check=True, capture_output=True)
    with inner.open("r+b") as file:
        for start in (1, 10):
            file.seek(start * MIB)
            file.write(plain)
    disk = world.image(data=luks2_image() + encrypted(inner.read_bytes()))
    ran = world.run("ls", disk, *key)
    assert ran.status == 0
    assert "p1" in ran.out
    assert "p2" in ran.out
    assert [volume["content"] for volume in world.run("ls", disk, *key, "--json").json["volumes"]] == ["ext4", "ext4"]
    assert "letter" in world.run("ls", disk, *key, "--volume", "p2").out
    assert world.run("cp", disk, "/letter", "copy", *key).status == 2
    assert world.run("cp", disk, "/letter", "copy", *key, "--volume", "p1").status == 0
    assert Path("copy").read_text() == "dear reader\n"


def test_serve(world, disk, plain, key):
    if not shutil.which("nbdcopy"):
        pytest.skip("nbdcopy is not installed")
    with world.running("serve", disk, *key, "--socket", "s") as (process, uri):
        assert uri.startswith(f"nbd+unix:///{UUID}?socket=")
        subprocess.run(["nbdcopy", uri, "copy"], check=True)
        assert Path("copy").read_bytes() == plain
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert not Path("s").exists()


def test_serve_over_tcp_with_an_overlay(world, disk, plain, key):
    if not shutil.which("nbdcopy"):
        pytest.skip("nbdcopy is not installed")
    tcp = ("--tcp", "127.0.0.1:0", "--allow-local-users")
    with world.running("serve", disk, *key, *tcp, "--overlay", "overlay") as (process, uri):
        assert uri.startswith("nbd://127.0.0.1:")
        Path("changed").write_bytes(b"changed".ljust(len(plain), b"\0"))
        subprocess.run(["nbdcopy", "--flush", "changed", uri], check=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    with world.running("serve", disk, *key, "--socket", "s", "--overlay", "overlay") as (_, uri):
        subprocess.run(["nbdcopy", uri, "copy"], check=True)
    assert Path("copy").read_bytes() == Path("changed").read_bytes()
    assert world.run("extract", disk, "out", *key).status == 0
    assert Path("out").read_bytes() == plain


def test_serve_refuses_what_others_could_reach(world, disk, key):
    allowed = ("--allow-local-users",)
    assert world.run("serve", disk, *key, "--tcp", "0.0.0.0:10809", *allowed).status == 14
    assert world.run("serve", disk, *key, "--tcp", "nonsense", *allowed).status == 2
    assert world.run("serve", disk, *key, "--tcp", "²", *allowed).status == 2
    assert world.run("serve", disk, *key, "--tcp", "10809", "--socket", "s").status == 2


def test_tcp_is_said_to_be_open_to_every_local_user(world, disk, key):
    ran = world.run("serve", disk, *key, "--tcp", "127.0.0.1:0")
    assert ran.status == 14
    assert "every user of this machine could read the decrypted data" in ran.err
    assert "--allow-local-users" in ran.err
    ran = world.run("serve", disk, *key, "--tcp", "127.0.0.1:0", "--overlay", "overlay")
    assert "write to the overlay" in ran.err and not Path("overlay").exists()


def needs_fuse() -> None:
    if not os.access("/dev/fuse", os.R_OK | os.W_OK) or not shutil.which("fusermount3"):
        pytest.skip("FUSE needs /dev/fuse and fusermount3")
    pytest.importorskip("mfusepy", exc_type=(ImportError, OSError))


def test_mount(world, disk, plain, key):
    needs_fuse()
    folder = world.folder / "mnt"
    folder.mkdir()
    with world.running("mount", disk, folder, *key, "--json") as (process, line):
        assert line == "{"
        assert (folder / "volume").read_bytes() == plain
        subprocess.run(["fusermount3", "-u", folder], check=True)
        assert process.wait(20) == 0
    assert world.run("mount", disk, world.folder / "missing", *key).status == 15


def test_mount_in_the_background(world, disk, plain, key):
    needs_fuse()
    folder = world.folder / "mnt"
    folder.mkdir()
    ran = world.process("mount", disk, folder, *key, "--background", "--json")
    try:
        assert ran.status == 0
        assert json.loads(ran.out)["file"] == str(folder / "volume")
        assert (folder / "volume").read_bytes() == plain
    finally:
        subprocess.run(["fusermount3", "-u", folder], check=True)
    deadline = time.monotonic() + 10
    while os.path.ismount(folder) and time.monotonic() < deadline:
        time.sleep(0.01)
    (folder / "in the way").touch()
    failed = world.process("mount", disk, folder, *key, "--background")
    assert failed.status == 1
    assert "not empty" in failed.err


@pytest.mark.parametrize("header", [luks1_image(), luks2_image()])
def test_data_that_were_never_written_are_no_noise(world, header):
    disk = world.image(data=header + bytes(4 * MIB))
    said = world.run("ls", disk, "--key-file", world.key_file).err
    assert "unwritten: the data area holds zeros" in said
    assert "noise" not in said
    assert "unwritten" in world.run("prove", disk, "--key-file", world.key_file).out
    written = world.image(data=header + random.Random(5).randbytes(4 * MIB))
    assert "decrypts to noise" in world.run("ls", written, "--key-file", world.key_file).err
