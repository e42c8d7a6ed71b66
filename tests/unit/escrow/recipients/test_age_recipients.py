"""Age recipients and identities, of every kind that pyrage has; plugins through a small one made here."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import escrow_samples as samples
import pyrage
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from luksafe import programs
from luksafe.errors import DamagedInput, KeyRejected, Unsupported, UsageError
from luksafe.escrow.recipients.age import (
    PluginCallbacks,
    make_envelope,
    parse_identities,
    parse_recipient,
    ssh_identity,
)
from luksafe.escrow.recipients.interface import age_header_start, scheme_of
from luksafe.escrow.recipients.passphrase import Passphrase
from luksafe.secret import SecretBytes

# Public keys of hardware in the documentation of age; nobody here can open what is sealed to them
TAG = "age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e"

PLUGIN = '''#!{python}
"""An age plugin that hides nothing: its stanza holds the file key as it is."""
import base64, sys
def read():
    line = sys.stdin.readline().rstrip("\\n")
    if not line.startswith("-> "):
        return line, b""
    body = ""
    while True:
        part = sys.stdin.readline().rstrip("\\n")
        body += part
        if len(part) < 64:
            return line, base64.b64decode(body + "=" * (-len(body) % 4))
def say(line, body=b""):
    text = base64.b64encode(body).decode().rstrip("=")
    lines = [text[i:i + 64] for i in range(0, len(text), 64)]
    if not lines or len(lines[-1]) == 64:
        lines.append("")
    print("-> " + line, *lines, sep="\\n", flush=True)
keys, stanzas = [], []
while True:
    line, body = read()
    if line.startswith("-> wrap-file-key"):
        keys.append(body)
    elif line.startswith("-> recipient-stanza") and line.split()[3] == "luksafetest":
        stanzas.append((line.split()[2], body))
    elif line.startswith("-> done") or line == "":
        break
if "recipient-v1" in sys.argv[1]:
    for number, key in enumerate(keys):
        say(f"recipient-stanza {{number}} luksafetest", key)
        read()
else:
    for number, key in stanzas:
        say(f"file-key {{number}}", key)
        read()
say("done")
'''


def bech32(prefix: str, data: bytes) -> str:
    """BIP 173, as age uses it."""
    letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    bits = int.from_bytes(data, "big") << (-len(data) * 8 % 5)
    count = -(-len(data) * 8 // 5)
    values = [bits >> 5 * (count - 1 - i) & 31 for i in range(count)]

    def polymod(values: list[int]) -> int:
        state = 1
        for value in values:
            top = state >> 25
            state = (state & 0x1FFFFFF) << 5 ^ value
            for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
                state ^= generator if top >> i & 1 else 0
        return state

    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    checksum = polymod(expanded + values + [0] * 6) ^ 1
    values += [checksum >> 5 * (5 - i) & 31 for i in range(6)]
    return prefix + "1" + "".join(letters[v] for v in values)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "age-plugin-luksafetest"
    path.write_text(PLUGIN.format(python=sys.executable))
    path.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(programs, "ROOT_PATH", f"{tmp_path}:{programs.ROOT_PATH}")


def test_names() -> None:
    recipient = parse_recipient(str(samples.age_identity().to_public()))
    assert (recipient.name.kind, recipient.name.name) == ("x25519", str(samples.age_identity().to_public()))
    ssh = parse_recipient(samples.ssh_public(samples.ssh_key()).decode() + "\n").name
    assert (ssh.kind, ssh.name) == ("ssh", "ssh-ed25519 keeper@example.org")
    assert ssh.fingerprint.startswith("SHA256:")


def test_ssh_rsa() -> None:
    recipient = parse_recipient(samples.ssh_public(samples.rsa_key()).decode())
    sealed = make_envelope([recipient]).seal(b"text")
    identity = ssh_identity(samples.ssh_private(samples.rsa_key()))
    assert identity.unseal(sealed).plaintext.reveal() == b"text"


def test_hardware_tags_can_be_sealed_to() -> None:
    recipient = parse_recipient(TAG)
    assert recipient.kind == "tag"
    assert b"-> p256tag " in make_envelope([recipient]).seal(b"text")


def test_post_quantum_tags_can_be_sealed_to() -> None:
    mlkem = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.mlkem")
    point = samples.ec_key().public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    key = mlkem.MLKEM768PrivateKey.generate().public_key().public_bytes_raw()
    recipient = parse_recipient(bech32("age1tagpq", key + point))
    assert b"-> mlkem768p256tag " in make_envelope([recipient]).seal(b"text")
    assert len(recipient.name.name) == 33
    assert len(recipient.name.fingerprint) == 64
    with pytest.raises(UsageError):
        parse_recipient("age1tagpq1qqqq")


@pytest.mark.parametrize("text", ["", "age1", "hello", "age1qqqq", "ssh-dss AAAA", "ssh-ed25519 AAAA", TAG[:-1]])
def test_what_is_no_recipient(text: str) -> None:
    with pytest.raises(UsageError, match="no age recipient"):
        parse_recipient(text)


@pytest.mark.parametrize("text", ["hello", "AGE-SECRET-KEY-1QQQ", "AGE-PLUGIN-X-1QQ"])
def test_what_is_no_identity(text: str) -> None:
    with pytest.raises(UsageError, match="no age identity") as caught:
        parse_identities(text)
    assert text not in str(caught.value) + caught.value.hint


def test_identity_files_have_comments() -> None:
    identities = parse_identities(f"# created\n\n{samples.age_identity()}\n")
    sealed = make_envelope([parse_recipient(str(samples.age_identity().to_public()))]).seal(b"text")
    assert [i.unseal(sealed).plaintext.reveal() for i in identities] == [b"text"]


def test_post_quantum_identities_say_what_opens_them() -> None:
    with pytest.raises(Unsupported) as caught:
        parse_identities("AGE-SECRET-KEY-PQ-1QQQ")
    assert "age -d" in caught.value.hint


def test_ssh_keys_that_cannot_be_used() -> None:
    for data in (samples.ssh_private(samples.ec_key()), b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"):
        with pytest.raises(Unsupported):
            ssh_identity(data)


def test_damage_is_not_a_wrong_key() -> None:
    identity = parse_identities(str(samples.age_identity()))[0]
    sealed = make_envelope([parse_recipient(str(samples.age_identity().to_public()))]).seal(b"text")
    with pytest.raises(DamagedInput):
        identity.unseal(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    with pytest.raises(DamagedInput):
        identity.unseal(sealed[:60])
    other = parse_identities(str(pyrage.x25519.Identity.generate()))[0]
    with pytest.raises(KeyRejected):
        other.unseal(sealed)


@pytest.mark.usefixtures("plugin")
def test_plugins_seal_and_open() -> None:
    recipient = parse_recipient(bech32("age1luksafetest", bytes(32)))
    assert recipient.kind == "plugin"
    sealed = make_envelope([recipient]).seal(b"text")
    assert b"-> luksafetest" in sealed
    identity = parse_identities(bech32("age-plugin-luksafetest-", bytes(32)).upper())[0]
    assert identity.unseal(sealed).plaintext.reveal() == b"text"


def test_a_plugin_that_is_not_there() -> None:
    with pytest.raises(Unsupported) as caught:
        parse_recipient(bech32("age1luksafeabsent", bytes(32)))
    assert caught.value.hint == "install age-plugin-luksafeabsent"
    with pytest.raises(Unsupported):
        parse_identities(bech32("age-plugin-luksafeabsent-", bytes(32)).upper())


def test_a_plugin_has_nobody_to_ask() -> None:
    callbacks = PluginCallbacks()
    callbacks.display_message("touch the key")
    assert callbacks.confirm("sure?", "yes", None) is None
    assert callbacks.request_public_string("name") is None
    assert callbacks.request_passphrase("PIN") is None


@pytest.mark.parametrize("factor", ["23", "63", "100", "9999"])
def test_scrypt_that_would_eat_the_machine_is_refused(factor: str) -> None:
    sealed = (
        f"age-encryption.org/v1\n-> scrypt YLisZvjihtALnJR9mb9BbQ {factor}\n"
        "3yDmaluCHx7zm1wzOjm0vnsuRHws8vSLAAAAAAAAAAA\n--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
    ).encode() + bytes(40)
    assert scheme_of(sealed) == "passphrase"
    with pytest.raises(Unsupported, match="blocks of scrypt"):
        Passphrase(SecretBytes(b"x")).unseal(sealed)


def test_passphrases_have_to_be_text() -> None:
    with pytest.raises(UsageError, match="has to be text"):
        Passphrase(SecretBytes(b"\xff")).seal(b"text")
    with pytest.raises(DamagedInput):
        Passphrase(SecretBytes(b"x")).unseal(b"age-encryption.org/v1\n")


def test_armor_is_looked_into() -> None:
    armor = "-----BEGIN AGE ENCRYPTED FILE-----\n"
    assert age_header_start((armor + "YWdlLWVuY3J5\n").encode()) == b"age-encry"
    assert age_header_start((armor + "?\n").encode()) == b""
    with pytest.raises(DamagedInput):
        scheme_of(armor.encode())
