"""The words that stand on every sheet of a kind."""

from __future__ import annotations

from luksafe.paper.sheet import SheetKind

TITLES = {
    SheetKind.PACKET: "Escrow packet",
    SheetKind.VOLUME_KEY: "Volume key",
    SheetKind.PASSPHRASE: "Recovery key",
    SheetKind.SHARE: "Share",
    SheetKind.HEADER: "LUKS header",
}

_AS_CASH = "Keep it as you would keep cash. Scan it on the rescue machine only, and send a picture of it to nobody."

NOTICES = {
    SheetKind.PACKET: (
        "Sealed. This sheet alone opens nothing.",
        "It takes the key (identity, certificate or shares) of somebody for whom it was sealed. Keep it away from that "
        "key.",
    ),
    SheetKind.VOLUME_KEY: (
        "Secret. Whoever sees this sheet can read the whole disk.",
        f"That stays so when every passphrase is changed; only reencryption ends it. {_AS_CASH}",
    ),
    SheetKind.PASSPHRASE: (
        "Secret. Whoever sees this sheet can open the disk.",
        f"Removing its keyslot ends that for the disk, but not for old header backups. {_AS_CASH}",
    ),
    SheetKind.SHARE: (
        "One share of several. Alone it reveals nothing.",
        "Enough of them together open the disk: keep this one apart from the others. A scan or "
        "photograph is for the rescue machine alone (luksafe escrow open PACKET --share SCAN): send it to nobody else.",
    ),
    SheetKind.HEADER: (
        "A copy of a LUKS header. It opens the disk together with a passphrase.",
        "Also with a passphrase that was removed since it was made. It replaces a destroyed header; it holds none of "
        "the data.",
    ),
}

CODES_NOTE = "From scans or photographs, in any order: luksafe paper read FILE… (or without luksafe, see the end)"
LINES_NOTE = (
    "luksafe paper read --typed FILE names every wrong line. Blanks and small letters do not matter. The letters B, I, "
    "O and the figure 1 are never used: what looks like an O is a zero."
)
ROWS_NOTE = "It is one row: gaps and ends of rows are for reading only."
DASHES_NOTE = "It is one row, with every dash: gaps and ends of rows are for reading only."
ABOUT_NOTE = "Made with luksafe, a free program for Linux that keeps and mends what opens LUKS disks; sheet format"
OTHER_WAYS_NOTE = "Without luksafe: the steps are at the end of this sheet."
