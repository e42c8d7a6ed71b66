"""Throwaway sheets of every kind for tests and for the pictures in the documentation."""

from __future__ import annotations

import random

from luksafe.paper.sheet import Procedure, SheetContent, SheetKind, Step
from luksafe.secret import SecretBytes

UUID = "7c1f6a53-92a4-4f0b-8d0e-5b2f3c9a1e44"
OPENS = (
    ("Volume", UUID),
    ("Host", "nas1.example.org"),
    ("Device", "/dev/sdb2 (WDC WD40EFRX-68N32N0, serial WD-WCC7K0EXAMPLE)"),
)
PARAMETERS = (
    ("Format", "LUKS2"),
    ("Cipher", "aes-xts-plain64"),
    ("Key size", "512 bits"),
    ("Sector size", "4096 bytes"),
    ("Data begins at", "16777216 bytes (sector 32768 of 512 bytes)"),
    ("Data ends at", "the end of the device"),
    ("IV offset", "0"),
    ("Digest", "0: pbkdf2, sha256, 1000 iterations"),
    ("Made", "2026-11-02 by admin@nas1, luksafe 0.1.0"),
)
RECOVERY_KEY = "cbdefghi-jklnrtuv-vutrnlkj-ihgfedbc-ccccbbbb-ddddeeee-ffffgggg-hhhhiiii"
WORDS = (
    "duckling enlarge academic academic agency result length solution fridge kidney coal piece deal husband erode "
    "duke ajar critical decision keyboard"
)


def payload(size_bytes: int, seed: int = 1) -> SecretBytes:
    """Bytes that look random and are always the same."""
    return SecretBytes(random.Random(seed).randbytes(size_bytes))


def packet(size_bytes: int = 2048, seed: int = 1) -> SheetContent:
    """A sealed packet of the largest usual size."""
    return SheetContent(
        kind=SheetKind.PACKET,
        title="Escrow packet for nas1: backup disk",
        payload=payload(size_bytes, seed),
        subtitle=("Sealed for 2 recipients: age1qz5t…w8k2 (Anna Example), CN=Recovery Officer 2026",),
        opens=OPENS,
        parameters=PARAMETERS,
        procedures=(
            Procedure(
                "How to get back in, with luksafe",
                (
                    Step(
                        "Boot any Linux with luksafe. Read this sheet:", ("luksafe paper read scan.pdf > packet.age",)
                    ),
                    Step(
                        "If the header of the disk is intact, give the disk a new passphrase:",
                        ("luksafe escrow apply packet.age /dev/sdX2 --identity key.txt",),
                    ),
                    Step("If it is destroyed:", ("luksafe rebuild /dev/sdX2 --packet packet.age --identity key.txt",)),
                ),
            ),
            Procedure(
                "How to get back in, with stock tools",
                (
                    Step(
                        "Make the file packet.age as above, and open it with the key of a recipient:",
                        ("age -d -i key.txt packet.age > packet.json",),
                    ),
                    Step(
                        "Take volume_key (hexadecimal) out of packet.json and open the disk:",
                        (
                            "jq -r .volume_key packet.json | xxd -r -p > /dev/shm/vk",
                            "cryptsetup open --volume-key-file /dev/shm/vk /dev/sdX2 rescue",
                        ),
                    ),
                ),
            ),
        ),
        file_name="packet.age",
    )


def recovery_key() -> SheetContent:
    """A recovery key in the spelling of systemd-cryptenroll."""
    return SheetContent(
        kind=SheetKind.PASSPHRASE,
        title="Recovery key of nas1: backup disk",
        payload=SecretBytes(RECOVERY_KEY.encode()),
        subtitle=("Keyslot 2, token systemd-recovery",),
        opens=OPENS,
        parameters=PARAMETERS[:3],
        procedures=(
            Procedure(
                "How to get back in",
                (
                    Step("Type it where the system asks for the passphrase of the disk at boot, or:"),
                    Step(
                        "From any Linux:", ("cryptsetup open /dev/sdX2 rescue", "mount -o ro /dev/mapper/rescue /mnt")
                    ),
                    Step(
                        "If the header is destroyed, put back a backup first:",
                        (f"luksafe restore {UUID} /dev/sdX2",),
                    ),
                ),
            ),
        ),
        file_name="recovery-key.txt",
    )


def share() -> SheetContent:
    """One share of three, two of which open the packet."""
    return SheetContent(
        kind=SheetKind.SHARE,
        title="Share 1 of 3 for nas1: backup disk",
        payload=SecretBytes(WORDS.encode()),
        subtitle=("Any 2 of the 3 shares open the packet of 2026-11-02. Set 4471.",),
        opens=OPENS,
        parameters=(("Share", "1 of 3"), ("Needed", "2"), ("Packet", "B3D1-09CE")),
        procedures=(
            Procedure(
                "How to get back in",
                (
                    Step(
                        "Bring one more share of the set 4471 and the packet (sheet B3D1-09CE, or a file of the vault)."
                    ),
                    Step(
                        "Give the words, or scans of the sheets, when asked:",
                        ("luksafe escrow open packet.age --shares",),
                    ),
                    Step(
                        "Without luksafe: any SLIP-39 program gives the identity from the words.",
                        ("shamir recover", "age -d -i identity.txt packet.age > packet.json"),
                    ),
                ),
            ),
        ),
    )


def volume_key() -> SheetContent:
    """A volume key of 512 bits."""
    return SheetContent(
        kind=SheetKind.VOLUME_KEY,
        title="Volume key of nas1: backup disk",
        payload=payload(64, 3),
        opens=OPENS,
        parameters=PARAMETERS,
        procedures=(
            Procedure(
                "How to get back in",
                (
                    Step(
                        "Type the digits of the secret into hex.txt and make them a file:",
                        ("xxd -r -p hex.txt volume.key",),
                    ),
                    Step(
                        "If the header of the disk is intact:",
                        ("cryptsetup open --volume-key-file volume.key DEVICE rescue",),
                    ),
                    Step("If it is destroyed:", ("luksafe rebuild DEVICE --volume-key-file volume.key",)),
                ),
            ),
        ),
        file_name="volume.key",
    )


def header() -> SheetContent:
    """A small header image."""
    return SheetContent(
        kind=SheetKind.HEADER,
        title="LUKS1 header of nas1: backup disk",
        payload=payload(592, 5),
        opens=OPENS,
        parameters=PARAMETERS,
        file_name="header.bin",
    )
