"""age, openssl and gpg open what we seal, and we open what they seal."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import escrow_samples as samples
import pexpect
import pytest

from luksafe.escrow.packet import Packet, open_packet, read_packet, seal
from luksafe.escrow.recipients.certificates import KeyFile
from luksafe.escrow.recipients.files import load_identities, read_recipients
from luksafe.escrow.recipients.passphrase import Passphrase
from luksafe.escrow.recipients.x509 import X509Identity
from luksafe.escrow.sharing import split_passphrase
from luksafe.escrow.volume_key import openpgp
from luksafe.secret import SecretBytes

AGE = samples.age_identity()


def need(*tools: str) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def run(*command: str | Path, **options: object) -> bytes:
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, **options).stdout


def assert_json(text: bytes, packet: Packet) -> None:
    document = json.loads(text)
    assert document["id"] == packet.public.packet_id
    assert document["secrets"][0]["hex"] == samples.KEY.hex()
    assert document["volume"]["segments"]["0"]["encryption"] == "aes-xts-plain64"


@pytest.mark.parametrize("kind", ["x25519", "ssh-ed25519", "ssh-rsa"])
def test_age_opens_ours(tmp_path: Path, kind: str) -> None:
    need("age")
    key = {"ssh-ed25519": samples.ssh_key, "ssh-rsa": samples.rsa_key}.get(kind)
    recipient = samples.ssh_public(key()) if key else str(AGE.to_public()).encode()
    identity = samples.ssh_private(key()) if key else str(AGE).encode()
    (tmp_path / "key").write_bytes(identity)
    (tmp_path / "key").chmod(0o600)
    packet = seal(samples.contents(), read_recipients(recipient), os.urandom)
    (tmp_path / "packet.age").write_bytes(packet.sealed)
    assert_json(run("age", "--decrypt", "-i", tmp_path / "key", tmp_path / "packet.age"), packet)


def test_age_opens_a_passphrase_packet_with_what_shares_give(tmp_path: Path) -> None:
    need("age")
    split = split_passphrase(2, 3, os.urandom)
    packet = seal(samples.contents(), [split.recipient], os.urandom, split.public)
    (tmp_path / "packet.age").write_bytes(packet.sealed)
    from shamir_mnemonic import combine_mnemonics

    passphrase = combine_mnemonics([" ".join(share.words) for share in split.shares[1:]]).hex()
    age = pexpect.spawn("age", ["--decrypt", "-o", "out", "packet.age"], cwd=tmp_path, timeout=60)
    age.expect("passphrase")
    age.sendline(passphrase)
    age.expect(pexpect.EOF)
    assert_json((tmp_path / "out").read_bytes(), packet)


@pytest.mark.parametrize("armor", [[], ["--armor"]], ids=["binary", "armored"])
def test_ours_opens_what_age_sealed(armor: list[str]) -> None:
    need("age")
    sealed = run("age", "--encrypt", *armor, "-r", str(AGE.to_public()), input=b"text")
    assert read_packet(sealed).scheme == "age"
    assert load_identities(str(AGE).encode())[0].unseal(sealed).plaintext.reveal() == b"text"


def test_ours_opens_a_packet_sealed_anew_by_hand(tmp_path: Path) -> None:
    """A person may open a packet with age and seal it to somebody else with age: it stays a packet."""
    need("age")
    packet = seal(samples.contents(), read_recipients(str(AGE.to_public()).encode()), os.urandom)
    (tmp_path / "key").write_text(str(AGE))
    text = run("age", "-d", "-i", tmp_path / "key", input=packet.sealed)
    (tmp_path / "other.pub").write_bytes(samples.ssh_public(samples.ssh_key()))
    sealed = run("age", "-R", tmp_path / "other.pub", input=text)
    opened = open_packet(read_packet(sealed), load_identities(samples.ssh_private(samples.ssh_key())))
    assert opened.contents == samples.contents()


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_openssl_opens_ours(tmp_path: Path, kind: str) -> None:
    need("openssl")
    key = samples.rsa_key() if kind == "rsa" else samples.ec_key("secp384r1")
    others = samples.pem(samples.certificate(samples.ec_key(), "another"))
    (tmp_path / "key.pem").write_bytes(samples.pem(key))
    recipients = read_recipients(samples.pem(samples.certificate(key))) + read_recipients(others)
    packet = seal(samples.contents(), recipients, os.urandom)
    (tmp_path / "packet.p7m").write_bytes(packet.sealed)
    text = run(
        "openssl", "cms", "-decrypt", "-inform", "DER", "-inkey", tmp_path / "key.pem", "-in", tmp_path / "packet.p7m"
    )
    assert_json(text, packet)


OPENSSL_WAYS = {
    "gcm": ["-aes-256-gcm"],
    "gcm-128": ["-aes-128-gcm"],
    "cbc": ["-aes-256-cbc"],
    "3des": ["-des3"],
}


KINDS = ("rsa", "oaep", "oaep-sha1", "ec", "ec-sha256", "keyid")
# with a 3DES content openssl wraps by 3DES for EC (RFC 3217), which no packet of anybody's needs
PAIRS = [(way, kind) for way in OPENSSL_WAYS for kind in KINDS if way != "3des" or not kind.startswith("ec")]


@pytest.mark.parametrize(("way", "kind"), PAIRS)
def test_ours_opens_what_openssl_sealed(tmp_path: Path, way: str, kind: str) -> None:
    need("openssl")
    key = samples.ec_key() if kind.startswith("ec") else samples.rsa_key()
    certificate = samples.certificate(key)
    (tmp_path / "cert.pem").write_bytes(samples.pem(certificate))
    options = {
        "oaep": ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"],
        "oaep-sha1": ["-keyopt", "rsa_padding_mode:oaep"],
        "ec-sha256": ["-keyopt", "ecdh_kdf_md:sha256"],
    }.get(kind, [])
    keyid = ["-keyid"] if kind == "keyid" else []
    sealed = run(
        "openssl", "cms", "-encrypt", "-binary", *OPENSSL_WAYS[way], *keyid, "-outform", "DER",
        "-recip", tmp_path / "cert.pem", *options, input=b"text",
    )  # fmt: skip
    for own in (None, certificate):
        assert X509Identity(KeyFile(key, own)).unseal(sealed).plaintext.reveal() == b"text"


def test_indefinite_lengths_are_read(tmp_path: Path) -> None:
    need("openssl")
    (tmp_path / "cert.pem").write_bytes(samples.pem(samples.certificate(samples.rsa_key())))
    sealed = run(
        "openssl", "cms", "-encrypt", "-stream", "-indef", "-aes-256-cbc", "-outform", "DER",
        "-recip", tmp_path / "cert.pem", input=b"text" * 2000,
    )  # fmt: skip
    assert sealed[1] == 0x80
    plaintext = X509Identity(KeyFile(samples.rsa_key())).unseal(sealed).plaintext.reveal()
    assert plaintext.replace(b"\r\n", b"") == b"text" * 2000


GPG = ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase-fd", "0"]


@pytest.mark.parametrize("cipher", ["CAST5", "3DES", "AES256", "CAMELLIA128", "BLOWFISH", "IDEA"])
@pytest.mark.parametrize("compress", ["none", "bzip2", "zip"])
def test_ours_opens_what_gpg_sealed(tmp_path: Path, cipher: str, compress: str) -> None:
    need("gpg")
    (tmp_path / "text").write_bytes(b"text" * 100)
    home = ["--homedir", str(tmp_path), "--s2k-count", "65536", "--compress-algo", compress]
    sealed = run(*GPG, *home, "--cipher-algo", cipher, "-o", "-", "-c", tmp_path / "text", input=b"words\n")
    assert openpgp.decrypt(sealed, SecretBytes(b"words")).reveal() == b"text" * 100


def test_gpg_opens_ours(tmp_path: Path) -> None:
    need("gpg")
    (tmp_path / "sealed").write_bytes(openpgp.encrypt(b"text", SecretBytes(b"words"), os.urandom))
    assert run(*GPG, "--homedir", tmp_path, "-d", tmp_path / "sealed", input=b"words\n") == b"text"


def test_no_secret_reaches_another_process(tmp_path: Path) -> None:
    """strace of sealing and opening: no program is started, and no secret is written or sent anywhere."""
    need("strace")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-s", "100000", "-e", "trace=execve,write,writev,sendto,sendmsg", "-o", str(trace)]
    done = subprocess.run([*command, samples_python(), str(script)], capture_output=True, env=python_path())
    if done.returncode != 0 and b"ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    text = trace.read_text(errors="replace")
    assert text.count("execve(") == 1
    for secret in ("deadbeef" * 16, "\\336\\255\\276\\357", "very secret words", "packet pass words"):
        assert secret not in text


def samples_python() -> str:
    import sys

    return sys.executable


def python_path() -> dict[str, str]:
    import luksafe

    root = Path(luksafe.__file__).parent.parent
    tests = Path(__file__).resolve().parents[2]
    return os.environ | {"PYTHONPATH": f"{root}:{tests}", "PYTHONDONTWRITEBYTECODE": "1"}


SCRIPT = """
import os
import escrow_samples as samples
from luksafe.escrow.contents import Secret
from luksafe.escrow.packet import open_packet, seal
from luksafe.escrow.recipients.files import load_identities, read_recipients
from luksafe.escrow.recipients.passphrase import Passphrase
from luksafe.secret import SecretBytes
secrets = (
    Secret("volume-key", SecretBytes(bytes.fromhex("deadbeef" * 16)), 0),
    Secret("passphrase", SecretBytes(b"very secret words"), 1),
)
contents = samples.contents(secrets=secrets)
age, rsa = samples.age_identity(), samples.rsa_key()
words = Passphrase(SecretBytes(b"packet pass words"))
for recipients, identities in (
    (read_recipients(str(age.to_public()).encode()), load_identities(str(age).encode())),
    (read_recipients(samples.pem(samples.certificate(rsa))), load_identities(samples.pem(rsa))),
    ([words], [words]),
):
    opened = open_packet(seal(contents, recipients, os.urandom), identities)
    print(repr(opened), repr(identities))
"""


def test_passphrase_identity_is_what_age_calls_it() -> None:
    """The recipient of a passphrase packet is opened by age's own prompt, so the file says scrypt."""
    sealed = Passphrase(SecretBytes(b"x")).seal(b"text")
    assert sealed.startswith(b"age-encryption.org/v1\n-> scrypt ")
