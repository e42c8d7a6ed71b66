"""Makes tests/vectors/vault-v1: a vault with one of everything. Run once for each format version.

python tests/generators/vault_v1.py tests/vectors/vault-v1

Clock, randomness and images are fixed, so it can be made again to the byte, but for how gzip packs.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from vault_samples import LATER, NOW, OTHER_UUID, UUID, counted, image_of, record_of

from luksafe.vault.record import Proof
from luksafe.vault.undo import Replacement, UndoState
from luksafe.vault.undo_log import UndoLog
from luksafe.vault.vault import Vault

CONFIG = """# One store, which is not here.
copies = 2

[[store]]
name = "usb"
path = "/nonexistent/usb"
id = "0123456789abcdef0123456789abcdef"
"""


def make(home: Path) -> None:
    """Make the vault in ``home``."""
    with Vault.open(home, random=counted("vault-v1"), create=True) as vault:
        first = vault.add(record_of(), image_of("v1 first"), now=NOW).id
        second = record_of(seqid=4, parents=[first], extra={"colour": "red"}, created="2026-11-25T06:44:00Z")
        vault.add(second, image_of("v1 second"), now=NOW)
        vault.add(record_of(parents=vault.lineage(UUID).events), image_of("v1 first"), now=NOW)
        vault.add(record_of(seqid=2, why="import"), image_of("v1 imported"), now=NOW)
        proof = {"when": "2026-11-24T07:00:00Z", "method": "passphrase, keyslot 0", "keyslot": 0, "digest": 0}
        vault.add_proof(Proof(id=first, found="ext4", host="nas", tool="luksafe 0.1.0", **proof))
        third = vault.add(record_of(uuid=OTHER_UUID, luks="luks1", seqid=0), image_of("v1 third"), now=NOW).id
        vault.forget(third, "passphrase leaked", now=LATER, host="nas")
        vault.add(record_of(uuid=OTHER_UUID, luks="luks1", seqid=0), image_of("v1 third"), now=LATER, again=True)
        vault.add(record_of(uuid="", luks="", seqid=0, whole=True, kept=[(0, 5000)]), image_of("v1 torn"), now=NOW)
        log = UndoLog(vault.home.folder)
        parts = [Replacement(0, b"old header", b"new header"), Replacement(4096, b"old area", b"new area")]
        done = log.save("disk", parts, now=NOW, token="00000001", why="restore", facts={"path": "/dev/sdb1"})
        log.mark(done, UndoState.DONE, now=NOW)
        log.save("disk", parts, now=LATER, token="00000002", why="restore")
    (home / UUID / f"{first}.packet-1.age").write_bytes(b"a kind of file that format 1 does not know\n")
    (home / "config.toml").write_text(CONFIG)
    shutil.rmtree(home / "seen")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
