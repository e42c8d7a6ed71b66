"""The table of verbs: where each lives, what it is for, how it is typed. ``--help`` imports none of them."""

from __future__ import annotations

from typing import NamedTuple


class Verb(NamedTuple):
    """One verb. ``module`` holds a click command named ``command``."""

    name: str
    section: str
    module: str
    help: str


VERBS = (
    Verb("backup", "keep", "luksafe.cli.backup", "Save the header of DEVICE in the vault and every store."),
    Verb("list", "keep", "luksafe.cli.list", "Volumes and their backups: when, where, proven, current or not."),
    Verb("show", "keep", "luksafe.cli.show", "Every parameter of a header; --map draws it."),
    Verb("diff", "keep", "luksafe.cli.diff", "What changed between two headers, in words."),
    Verb("check", "keep", "luksafe.cli.check", "Is each volume safe? Copies, drift, proofs."),
    Verb("prove", "keep", "luksafe.cli.prove", "Open a header with a key, and say what the data are."),
    Verb("export", "keep", "luksafe.cli.export", "Write a backup as a file that cryptsetup takes."),
    Verb("import", "keep", "luksafe.cli.import_", "Take in header backups made by cryptsetup or dd."),
    Verb("forget", "keep", "luksafe.cli.forget", "Remove a backup, for good, from every store."),
    Verb("sync", "keep", "luksafe.cli.sync", "Bring all stores level; heal damaged copies."),
    Verb("stores", "keep", "luksafe.cli.stores", "List, add and check the places that hold copies."),
    Verb("scan", "recover", "luksafe.cli.scan", "Find LUKS headers anywhere: lost partitions, copies, backups."),
    Verb("diagnose", "recover", "luksafe.cli.diagnose", "What is damaged, where, by what, and what to do next."),
    Verb("rescue", "recover", "luksafe.cli.rescue", "The guide: looks, explains, proposes, one step at a time."),
    Verb(
        "restore", "recover", "luksafe.cli.restore", "Write a backup to a device: plan, confirm, save, write, verify."
    ),
    Verb("repair", "recover", "luksafe.cli.repair", "Mend damaged metadata from what survives of it."),
    Verb("undo", "recover", "luksafe.cli.undo", "Put back what the last write replaced."),
    Verb("extract", "recover", "luksafe.cli.extract", "Decrypt the data into a file or a pipe, without root."),
    Verb("mount", "recover", "luksafe.cli.mount", "The decrypted data as a read-only file in a folder."),
    Verb("serve", "recover", "luksafe.cli.serve", "The decrypted data over NBD, also with writes in an overlay."),
    Verb("ls", "recover", "luksafe.cli.ls", "List files inside the volume."),
    Verb("cp", "recover", "luksafe.cli.cp", "Copy files out of the volume."),
    Verb("mappings", "recover", "luksafe.cli.mappings", "Open volumes, and whether their headers are still there."),
    Verb("emergency", "recover", "luksafe.cli.emergency", "The header is gone, the volume is open: save all now."),
    Verb("findkeys", "recover", "luksafe.cli.findkeys", "Volume keys in the kernel's memory or in a dump, proven."),
    Verb(
        "rebuild", "recover", "luksafe.cli.rebuild", "A new header round a volume key: of a mapping, a file, a packet."
    ),
    Verb("escrow", "escrow", "luksafe.cli.escrow.group", "Seal volume keys and recovery keys; open and use packets."),
    Verb("paper", "escrow", "luksafe.cli.paper", "Sheets of paper: print them, read them back from scans or typing."),
)

SECTIONS = {"keep": "Keep", "recover": "Recover", "escrow": "Escrow"}

FIRST_STEPS = (
    "Never lose access to a LUKS volume: keep its header, get back in, escrow its key.",
    "",
    "  sudo luksafe backup --all          save the header of every LUKS volume",
    "  sudo luksafe check                 is each volume safe?",
    "  sudo luksafe rescue /dev/sda3      a volume does not open any more",
    "",
    "All verbs: luksafe --help     One of them: luksafe backup --help",
)
"""What luksafe says when nothing was asked: the first thing to type."""

EXAMPLES = {
    "backup": "sudo luksafe backup /dev/sda3",
    "list": "luksafe list",
    "show": "sudo luksafe show /dev/sda3 --map",
    "diff": "luksafe diff 3f9a1c /dev/sda3",
    "check": "sudo luksafe check --all",
    "prove": "sudo luksafe prove 3f9a1c --data /dev/sda3",
    "export": "luksafe export 3f9a1c header.img",
    "import": "luksafe import old-header-backup.img",
    "forget": "luksafe forget 3f9a1c --why 'that passphrase leaked'",
    "sync": "luksafe sync",
    "stores": "luksafe stores add stick /media/me/stick/luksafe",
    "diagnose": "sudo luksafe diagnose /dev/sda3",
    "scan": "sudo luksafe scan /dev/sda",
    "rescue": "sudo luksafe rescue /dev/sda3",
    "restore": "sudo luksafe restore 3f9a1c /dev/sda3 --dry-run",
    "repair": "sudo luksafe repair /dev/sda3 --dry-run",
    "undo": "sudo luksafe undo /dev/sda3",
    "extract": "luksafe extract disk.img plain.img --header vault:3f9a1c",
    "mount": "luksafe mount disk.img folder",
    "serve": "luksafe serve disk.img",
    "ls": "luksafe ls disk.img /home",
    "cp": "luksafe cp disk.img /home/me/thesis.pdf .",
    "mappings": "sudo luksafe mappings",
    "emergency": "sudo luksafe emergency home --to /media/me/stick/home.luksheader",
    "findkeys": "sudo luksafe findkeys /proc/kcore --mapping home",
    "rebuild": "sudo luksafe rebuild /dev/sda3 --from-mapping home --dry-run",
    "escrow": "sudo luksafe escrow save /dev/sda3 --recipient age1…",
    "paper": "luksafe paper print packet.age sheet.pdf",
}
"""The most useful call of each verb, at the end of its ``--help``."""
