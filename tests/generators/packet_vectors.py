"""Makes tests/vectors/packet: one packet of each kind, with its throwaway keys. Run once for each format version.

python tests/generators/packet_vectors.py tests/vectors/packet

Sealing takes fresh randomness, so the files differ from run to run; what they open to does not. Each is opened with a
stock tool before it is kept.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import escrow_samples as samples

from luksafe.escrow.canary import CipherParameters, make_canary
from luksafe.escrow.contents import Contents, Made, Secret
from luksafe.escrow.packet import Packet, seal
from luksafe.escrow.parameters import VolumeParameters
from luksafe.escrow.recipients.files import read_recipients
from luksafe.escrow.recipients.passphrase import Passphrase
from luksafe.escrow.share_file import render_share
from luksafe.escrow.sharing import split_passphrase
from luksafe.secret import SecretBytes


def luks2_contents(packet_id: str, **changes: object) -> Contents:
    """A volume key and a passphrase of a LUKS2 volume."""
    return samples.contents(packet_id=packet_id, **changes)


def luks1_contents(packet_id: str) -> Contents:
    """The passphrase of keyslot 3 of a LUKS1 volume, bytes that are no text."""
    segment = {
        "type": "crypt",
        "offset": "2097152",
        "size": "dynamic",
        "iv_tweak": "0",
        "encryption": "aes-cbc-essiv:sha256",
        "sector_size": 512,
    }
    digest = {
        "type": "pbkdf2",
        "keyslots": ["0", "3"],
        "segments": ["0"],
        "hash": "sha1",
        "iterations": 51200,
        "salt": base64.b64encode(bytes(range(32))).decode(),
        "digest": base64.b64encode(bytes(range(20))).decode(),
    }
    volume = VolumeParameters(
        "luks1", "9ab1eda7-0ea2-46cc-a85d-341e36d32cca", "", "", 592, 256, {"0": segment}, {"0": digest}
    )
    canary = make_canary(CipherParameters("aes-cbc-essiv:sha256"), SecretBytes(bytes(range(32))))
    secret = Secret("passphrase", SecretBytes(b"\x00\xff key file bytes \n"), 3)
    made = Made(datetime(2026, 11, 3, 23, 59, 59, tzinfo=UTC), reason="leaving keeper")
    return Contents(packet_id, volume, (secret,), made, "nas", {"path": "/dev/sdb"}, canary)


def write(folder: Path, name: str, packet: Packet, keys: dict[str, bytes], opener: list[str]) -> None:
    """Keep a packet and its keys, once the stock tool has opened it."""
    assert packet.public is not None
    sealed = folder / f"{name}{packet.suffix}"
    sealed.write_bytes(packet.sealed)
    (folder / f"{name}.json").write_bytes(packet.public.to_bytes())
    for suffix, data in keys.items():
        (folder / f"{name}.{suffix}").write_bytes(data)
    if opener:
        out = subprocess.run([*opener, sealed.name], cwd=folder, check=True, capture_output=True).stdout
        assert json.loads(out)["id"] == packet.public.packet_id


def main() -> None:
    """Write every vector into the folder given."""
    folder = Path(sys.argv[1])
    age = ["age", "--decrypt", "-i"]
    cms = ["openssl", "cms", "-decrypt", "-inform", "DER", "-inkey"]
    key = samples.age_identity()
    packet = seal(luks2_contents("00000000000000a1"), read_recipients(str(key.to_public()).encode()), os.urandom)
    write(folder, "x25519", packet, {"key": f"{key}\n".encode()}, [*age, "x25519.key"])
    ssh = samples.ssh_key()
    packet = seal(luks1_contents("00000000000000a2"), read_recipients(samples.ssh_public(ssh)), os.urandom)
    write(folder, "ssh-luks1", packet, {"key": samples.ssh_private(ssh)}, [*age, "ssh-luks1.key"])
    for name, private in (("cms-rsa", samples.rsa_key()), ("cms-p256", samples.ec_key())):
        certificate = samples.pem(samples.certificate(private))
        packet = seal(
            luks2_contents(f"00000000000000a{3 if name == 'cms-rsa' else 4}"), read_recipients(certificate), os.urandom
        )
        write(folder, name, packet, {"key": samples.pem(private), "pem": certificate}, [*cms, f"{name}.key", "-in"])
    words = b"a passphrase of some words"
    packet = seal(luks2_contents("00000000000000a5"), [Passphrase(SecretBytes(words))], os.urandom)
    write(folder, "passphrase", packet, {"txt": words}, [])
    split = split_passphrase(3, 5, os.urandom)
    packet = seal(luks2_contents("00000000000000a6"), [split.recipient], os.urandom, split.public)
    assert packet.public is not None
    shares = {f"share{share.number}": render_share(share, packet.public) for share in split.shares}
    write(folder, "shares", packet, shares, [])
    header = gzip.compress(b"a compact header image would stand here\n", mtime=0)
    packet = seal(
        luks2_contents("00000000000000a7", header_gz=header), read_recipients(str(key.to_public()).encode()), os.urandom
    )
    write(folder, "with-header", packet, {"key": f"{key}\n".encode()}, [*age, "with-header.key"])


if __name__ == "__main__":
    main()
