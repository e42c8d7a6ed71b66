"""The steps back in that stand on a sheet: with luksafe, and with tools that every Linux has."""

from __future__ import annotations

import shlex

from luksafe.escrow.recipients.interface import scheme_of
from luksafe.luks.model import Header
from luksafe.paper.sheet import Procedure, SheetKind, Step

SECTOR_BYTES = 512
NEW_HEADER = "new-header.img"


def procedures_for(kind: SheetKind, payload: bytes, file_name: str, header: Header | None) -> tuple[Procedure, ...]:
    """The ways back in from a sheet of this kind; DEVICE stands for the encrypted disk on the rescue machine."""
    if kind is SheetKind.PACKET:
        return _packet(payload, file_name, header)
    if kind is SheetKind.VOLUME_KEY:
        return _volume_key(file_name, header)
    if kind is SheetKind.PASSPHRASE:
        return (_passphrase(header),)
    return (_share(),) if kind is SheetKind.SHARE else ()


def _packet(payload: bytes, file_name: str, header: Header | None) -> tuple[Procedure, ...]:
    name = shlex.quote(file_name)
    with_luksafe = Procedure(
        "How to get back in, with luksafe",
        (
            Step(
                "Read this sheet, and open the packet with the key of somebody for whom it was sealed:",
                (f"luksafe paper read scan.pdf > {name}", f"luksafe escrow open {name}"),
            ),
            Step(
                "Give the disk a new passphrase, also when its header is destroyed:",
                (f"luksafe escrow apply {name} DEVICE",),
            ),
        ),
    )
    with_stock_tools = Procedure(
        "How to get back in, with stock tools",
        (
            Step(f"Make the file {file_name} from this sheet, as above, and open it:", (_open(payload, name),)),
            Step(
                "Take the secret out of packet.json, which also has every parameter in words:",
                ("jq -r '.secrets[0].hex' packet.json | xxd -r -p > secret.key",),
            ),
            Step(
                'Open the disk. The first command is for the kind "passphrase", the second for "volume-key".',
                (
                    "cryptsetup open --key-file secret.key DEVICE rescue",
                    "cryptsetup open --volume-key-file secret.key DEVICE rescue",
                ),
            ),
            *_new_header("secret.key", header),
        ),
    )
    return with_luksafe, with_stock_tools


def _open(packet: bytes, name: str) -> str:
    """The stock command for this packet."""
    if packet[:1] == b"\x30" or packet.startswith(b"-----BEGIN CMS"):
        form = "DER" if packet[:1] == b"\x30" else "PEM"
        return f"openssl cms -decrypt -inform {form} -inkey KEY.pem -in {name} -out packet.json"
    identity = "" if scheme_of(packet) == "passphrase" else "-i KEY.txt "
    return f"age --decrypt {identity}{name} > packet.json"


def _volume_key(file_name: str, header: Header | None) -> tuple[Procedure, ...]:
    name = shlex.quote(file_name)
    steps = (
        Step("Type the digits of the secret into hex.txt and make them a file:", (f"xxd -r -p hex.txt {name}",)),
        Step("If the header of the disk is whole:", (f"cryptsetup open --volume-key-file {name} DEVICE rescue",)),
        Step("If it is destroyed, with luksafe:", (_rebuild(name, header),)),
        *_new_header(name, header),
    )
    return (Procedure("How to get back in", steps),)


def _rebuild(key: str, header: Header | None) -> str:
    """The command with every parameter, for the day when the vault is gone as well."""
    segment = header.default_segment if header else None
    command = ["luksafe", "rebuild", "DEVICE", "--volume-key-file", key]
    if header is None or segment is None or segment.integrity:
        return shlex.join(command)
    command += ["--type", header.format, "--uuid", header.uuid, "--cipher", header.encryption]
    command += ["--data-offset", str(header.data_offset)]
    if header.format == "luks2":
        command += ["--sector-size", str(header.sector_size)]
    if segment.iv_tweak:
        command += ["--iv-offset", str(segment.iv_tweak)]
    return shlex.join(command)


def _new_header(key: str, header: Header | None) -> tuple[Step, ...]:
    """A new detached header round a known volume key; nothing is written to the disk."""
    if header is None or not header.encryption:
        return ()
    options = ["--type", header.format, "--volume-key-file", key, "--header", NEW_HEADER, "--uuid", header.uuid]
    options += ["--offset", str(header.data_offset // SECTOR_BYTES), "--cipher", header.encryption]
    options += ["--key-size", str(header.volume_key_size * 8)]
    if header.format == "luks2":
        options += ["--sector-size", str(header.sector_size)]
    unusual = header.default_segment is None or header.default_segment.iv_tweak or header.default_segment.integrity
    if unusual:
        return (Step("If it is destroyed, only luksafe can make one: cryptsetup cannot set IV offset or integrity."),)
    return (
        Step(
            f"If it is destroyed, without luksafe: a new header in the file {NEW_HEADER}. The disk is not written to.",
            (
                f"cryptsetup luksFormat {shlex.join(options)} DEVICE",
                f"cryptsetup open --header {NEW_HEADER} --readonly DEVICE rescue",
            ),
        ),
    )


def _passphrase(header: Header | None) -> Procedure:
    uuid = header.uuid if header else "BACKUP"
    steps = (
        Step("Type it where the system asks for the passphrase of the disk when it starts."),
        Step("Or from any Linux:", ("cryptsetup open DEVICE rescue", "mount -o ro /dev/mapper/rescue /mnt")),
        Step("If the header of the disk is destroyed, put a backup of it back:", (f"luksafe restore {uuid} DEVICE",)),
        Step(
            "Or without luksafe, from the file of a backup, without a write to the disk:",
            ("cryptsetup open --header BACKUP.img --readonly DEVICE rescue",),
        ),
    )
    return Procedure("How to get back in", steps)


def _share() -> Procedure:
    steps = (
        Step("Bring as many shares of this set as are needed, and the packet that they open."),
        Step(
            "With luksafe, which asks for the words, or takes scans by --share SCAN:",
            ("luksafe escrow open PACKET", "luksafe escrow apply PACKET DEVICE"),
        ),
        Step(
            "Without it: any SLIP-39 program makes 32 digits of the words. They are the passphrase of the packet.",
            ("shamir recover", "age --decrypt PACKET > packet.json"),
        ),
    )
    return Procedure("How to get back in", steps)
