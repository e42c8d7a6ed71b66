"""Headers that were made anew on the host, from a packet, from paper, from shares: the kernel opens and mounts them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import escrow_samples as samples
import lost_headers as lost
import pytest
from cli.conftest import World, world
from lost_headers import KINDS, LostVolume

__all__ = ["world"]
pytestmark = [pytest.mark.vm, pytest.mark.slow, pytest.mark.timeout(2400)]
LOST = {
    "luks1-xts": "packet",
    "luks1-essiv-odd": "paper",
    "luks2-xts-4096-odd": "paper",
    "luks2-essiv-4096": "shares",
    "luks2-xts-4096-detached": "packet",
}


def lose_and_apply(world: World, volume: LostVolume, way: str) -> None:
    """Save, lose vault and header, get back in with a new passphrase."""
    folder = volume.disk.parent
    stick, shares = folder / "stick", folder / "shares"
    stick.mkdir()
    shares.mkdir()
    (folder / "new").write_bytes(b"new passphrase")
    (folder / "words").write_bytes(b"words of the packet")
    (folder / "identity").write_text(str(samples.age_identity()))
    sealing: dict[str, list[Any]] = {
        "packet": ["--recipient", samples.age_identity().to_public()],
        "paper": ["--recipient", "passphrase", "--packet-key-file", folder / "words"],
        "shares": ["--shares", "3/5", "--shares-dir", shares],
    }
    options = ("--key-file", volume.passphrase_file, "--output", stick, *volume.header_options)
    assert world.run("escrow", "save", volume.disk, *options, *sealing[way]).status == 0
    shutil.rmtree(world.vault)
    [packet] = stick.glob("*.age")
    opener: list[Any] = ["--identity", folder / "identity"]
    if way == "paper":
        opener = ["--key-file", folder / "words"]
    if way == "shares":
        opener = [word for share in sorted(shares.iterdir())[2:] for word in ("--share", scan_of(world, share, folder))]
    given = scan_of(world, packet, folder) if way == "paper" else packet
    volume.lose()
    new = ("--new-key-file", folder / "new", *lost.CHEAP, *volume.header_options, "--yes")
    ran = world.run("escrow", "apply", given, volume.disk, *opener, *new)
    assert ran.status == 0, ran.err


def scan_of(world: World, file: Path, folder: Path) -> Path:
    sheet = folder / f"{file.stem}.pdf"
    assert world.run("paper", "print", file, sheet).status == 0
    return lost.scanned(sheet, folder / f"scan-{file.stem}")


def test_the_kernel_mounts_what_was_rebuilt(
    vm: Any, world: World, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = lost.plaintext(tmp_path_factory.mktemp("ext4"))
    disks, headers = [], {}
    for name, way in LOST.items():
        folder = tmp_path / name
        folder.mkdir()
        volume = lost.make_volume(KINDS[name], folder, content)
        lose_and_apply(world, volume, way)
        disks.append(volume.disk)
        if volume.kind.is_detached:
            shutil.copy(volume.header, vm.share / "escrow-header.img")
            headers[name] = "--header /share/escrow-header.img"
    for name, data in lost.files().items():
        (vm.share / f"escrow-{name}").write_bytes(data)
    script = "modprobe dm-crypt; mkdir -p /mnt; printf 'new passphrase' > /tmp/new\n"
    for number, name in enumerate(LOST):
        device = f"/dev/vd{chr(ord('a') + number)}"
        script += f"""
cryptsetup open {headers.get(name, "")} --key-file /tmp/new {device} home
fsck.ext4 -fn /dev/mapper/home > /dev/null 2>&1
mount -o ro /dev/mapper/home /mnt
for file in /share/escrow-file*; do cmp $file /mnt/${{file#/share/escrow-}}; done
echo {name} $(ls /mnt | grep -c file)
umount /mnt; cryptsetup close home
"""
    seen = vm.sh(script, disks=disks, timeout=600)
    print(seen, file=sys.stderr)
    assert seen.splitlines() == [f"{name} {len(lost.files())}" for name in LOST]


def test_the_key_of_an_active_mapping_goes_into_escrow(vm: Any, vm_disk: Path) -> None:
    """With the header whole, and with the volume key in the table or in the kernel's keyring."""
    (vm.share / "escrow-identity").write_text(str(samples.age_identity()))
    seen = vm.python(
        "import json\n"
        "from pathlib import Path\n"
        "print(json.dumps({p.stem: p.read_text() for p in Path('/tmp').glob('*.out')}))",
        before=f"""
luksafe() {{ python3 -m luksafe --vault /tmp/vault "$@"; }}
modprobe dm-crypt; printf x > /tmp/pass
cryptsetup luksFormat -q --type luks2 {" ".join(lost.CHEAP)} --key-file /tmp/pass /dev/vda
cryptsetup luksDump -q --dump-volume-key --volume-key-file /tmp/vk --key-file /tmp/pass /dev/vda
cryptsetup open --disable-keyring --key-file /tmp/pass /dev/vda home
luksafe escrow save /dev/vda --from-mapping home --recipient {samples.age_identity().to_public()} --json > /tmp/saved
id=$(python3 -c 'import json; print(json.load(open("/tmp/saved"))["packets"][0]["id"])')
luksafe escrow open $id --identity /share/escrow-identity --output /tmp/out
cmp /tmp/out /tmp/vk && echo same > /tmp/same.out
luksafe escrow verify $id /dev/vda --identity /share/escrow-identity > /tmp/verify.out
""",
        disks=[vm_disk],
        timeout=600,
    )
    assert seen["same"] == "same\n", seen
