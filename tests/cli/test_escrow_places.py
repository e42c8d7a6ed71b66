"""A packet on the disk that it opens is no copy; and secrets go nowhere but into packets."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import escrow_samples as samples
import pytest
from cli.conftest import World
from generators.headers import PASSPHRASE, VOLUME_KEY, luks2_image

HEADER_BYTES = 2 << 20


@pytest.fixture
def recipient() -> str:
    return str(samples.age_identity().to_public())


@pytest.fixture
def inside(world: World, loop_device: Callable[..., str]) -> Iterator[tuple[Path, Path]]:
    """A LUKS image, and a folder on a file system that lies in the same image file."""
    disk = world.image(data=luks2_image().ljust(HEADER_BYTES, b"\0") + bytes(16 << 20))
    device = loop_device(disk, "--offset", str(HEADER_BYTES))
    subprocess.run(["mkfs.ext2", "-q", device], check=True)
    folder = world.folder / "inside"
    folder.mkdir()
    subprocess.run(["mount", device, folder], check=True)
    try:
        yield disk, folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_packet_is_not_kept_only_on_the_disk_that_it_opens(
    world: World, recipient: str, inside: tuple[Path, Path]
) -> None:
    disk, folder = inside
    world.vault = folder / "vault"
    command = ("escrow", "save", disk, "--key-file", world.key_file, "--recipient", recipient, "--json")
    refused = world.run(*command)
    assert (refused.status, refused.json["error"]["code"]) == (14, "on-its-volume")
    assert not list(folder.rglob("*.age"))
    assert world.run(*command, "--output", folder).status == 14
    world.stores(1)
    done = world.run(*command)
    assert (done.status, done.json["packets"][0]["uncounted"]) == (3, ["home"])
    elsewhere = world.folder / "stick"
    elsewhere.mkdir()
    assert len(world.run(*command, "--output", elsewhere).json["packets"][0]["files"]) == 2


@pytest.mark.skipif(None in (shutil.which("strace"), shutil.which("cryptsetup")), reason="needs strace and cryptsetup")
def test_no_secret_is_in_an_argument_the_environment_or_a_file(world: World, recipient: str) -> None:
    disk = world.image()
    trace = world.folder / "trace"
    strace = ("strace", "-f", "-v", "-s", "100000", "-e", "trace=execve", "-o", str(trace))
    command = (
        "escrow",
        "save",
        disk,
        "--key-file",
        world.key_file,
        "--recovery-key",
        "--recipient",
        recipient,
        "--yes",
    )
    ran = world.process(*command, prefix=strace)
    assert ran.status == 0, ran.err
    identity = world.folder / "identity"
    identity.write_text(str(samples.age_identity()))
    packet = next(world.vault.glob("*/*.age"))
    recovery_key = bytes.fromhex(
        world.run("escrow", "open", packet, "--identity", identity, "--json").json["secret_hex"]
    )
    seen = trace.read_bytes() + ran.out.encode() + ran.err.encode()
    assert b"luksAddKey" in seen
    for secret in (PASSPHRASE, VOLUME_KEY, VOLUME_KEY.hex().encode(), recovery_key, recovery_key[:20]):
        assert secret not in seen
    private = {world.key_file, identity, disk}
    for path in world.folder.rglob("*"):
        if path.is_file() and path not in private:
            data = path.read_bytes()
            assert recovery_key not in data, path
            assert VOLUME_KEY not in data, path
    assert sys.executable.encode() in seen


def test_a_crash_leaves_no_core_file(world: World) -> None:
    script = "import os, resource, sys\nfrom luksafe.cli.main import main\ntry:\n    main(['--version'])\n"
    script += "except SystemExit:\n    print(resource.getrlimit(resource.RLIMIT_CORE)[0])\n"
    limited = ["sh", "-c", 'ulimit -c unlimited 2>/dev/null; exec "$@"', "sh", sys.executable, "-c", script]
    done = subprocess.run(limited, check=True, capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert done.stdout.splitlines()[-1] == "0"
