"""Tables of recovery keys as CSV, exported from Fleet, from Crypt-Server, or written by hand. Columns go by name."""

from __future__ import annotations

import csv
import io

from luksafe.errors import DamagedInput
from luksafe.escrow.import_.model import ImportedSecret
from luksafe.escrow.recovery_key import is_recovery_key
from luksafe.secret import SecretBytes
from luksafe.wall import walled

MAX_BYTES = 64 << 20
MAX_FIELD = 1 << 16
COLUMNS = {
    "secret": ("secret", "recovery_key", "disk_encryption_key", "encryption_key", "passphrase", "password", "key"),
    "hostname": ("hostname", "host_name", "host", "computername", "computer_name", "display_name", "macname"),
    "serial": ("serial", "serial_number", "hardware_serial"),
    "uuid": ("luks_uuid", "volume_uuid", "disk_uuid"),
    "kind": ("secret_type", "type", "kind"),
    "keyslot": ("keyslot", "key_slot", "slot"),
    "label": ("label", "volume_label"),
}
PASSPHRASE_KINDS = ("", "recovery_key", "password", "passphrase", "recovery key")
VOLUME_KEY_KINDS = ("volume-key", "volume_key", "master_key")


@walled("a table of recovery keys")
def read_csv(data: bytes) -> list[ImportedSecret]:
    """One secret for each row that has one. A host's hardware ``uuid`` (as Fleet has it) is not the volume's.

    Raises DamagedInput when no column holds secrets, naming those there are.
    """
    if len(data) > MAX_BYTES:
        raise DamagedInput(f"a table of {len(data)} bytes is too large")
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DamagedInput(f"this is no CSV in UTF-8: {error}") from None
    places = _places(rows[0] if rows else [])
    if "secret" not in places:
        names = ", ".join(name[:40] for name in (rows[0] if rows else [])[:20])
        raise DamagedInput(
            f"no column of the table holds secrets (there are: {names})",
            hint=f"call it one of: {', '.join(COLUMNS['secret'])}",
        )
    found = [_row(row, places, number) for number, row in enumerate(rows[1:], 2)]
    return [secret for secret in found if secret is not None]


def _places(head: list[str]) -> dict[str, int]:
    """Which column holds what; the earlier name in COLUMNS wins."""
    names = [name.strip().lower().replace(" ", "_").replace("-", "_") for name in head]
    return {what: names.index(name) for what, known in COLUMNS.items() for name in reversed(known) if name in names}


def _row(row: list[str], places: dict[str, int], number: int) -> ImportedSecret | None:
    def cell(what: str) -> str:
        at = places.get(what, len(row))
        return row[at].strip() if at < len(row) else ""

    kind, secret = cell("kind").lower(), cell("secret")
    if not secret or len(secret) > MAX_FIELD or kind not in PASSPHRASE_KINDS + VOLUME_KEY_KINDS:
        return None  # an unlock PIN, or a host without a key
    is_volume_key = kind in VOLUME_KEY_KINDS
    slot = cell("keyslot")
    return ImportedSecret(
        kind="volume-key" if is_volume_key else "passphrase",
        secret=SecretBytes(_hex(secret, number) if is_volume_key else secret.encode()),
        source="recovery key (CSV)" if is_recovery_key(secret) else "CSV",
        uuid=cell("uuid"),
        hostname=cell("hostname"),
        label=cell("label"),
        serial=cell("serial"),
        keyslot=int(slot) if slot.isascii() and slot.isdigit() and len(slot) < 4 else None,
    )


def _hex(text: str, number: int) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise DamagedInput(f"line {number} of the table: the volume key is not hexadecimal") from None
