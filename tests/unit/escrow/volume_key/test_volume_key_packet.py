"""volume_key packets that we write, of every format, read back; and items that make no sense."""

from __future__ import annotations

import os
from dataclasses import replace

import escrow_samples as samples
import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.padding import PKCS7

from luksafe.errors import DamagedInput, KeyRejected, Unsupported, UsageError
from luksafe.escrow.contents import Secret
from luksafe.escrow.recipients.files import load_identities
from luksafe.escrow.recipients.x509 import X509Recipient
from luksafe.escrow.volume_key import model, wrapping
from luksafe.escrow.volume_key.convert import from_contents, to_imported
from luksafe.escrow.volume_key.model import PacketFormat, VolumeKeyPacket
from luksafe.escrow.volume_key.packet import (
    MAGIC,
    Keys,
    open_packet,
    packet_format,
    write_cleartext,
    write_for_certificate,
    write_secret_wrapped,
    write_with_passphrase,
)
from luksafe.escrow.volume_key.ttlv import MAX_BYTES, Item, parse_item
from luksafe.secret import SecretBytes

KEY = VolumeKeyPacket(
    "volume-key",
    SecretBytes(bytes(range(32))),
    "host",
    samples.UUID,
    "label",
    "/dev/sda2",
    cipher_name="aes",
    cipher_mode="cbc-essiv:sha256",
    key_bits=256,
)
PASSPHRASE = VolumeKeyPacket("passphrase", SecretBytes("gehéim".encode()), "host", samples.UUID, passphrase_slot=3)
WITH_PATH = replace(PASSPHRASE, volume_path="/dev/sdb")
RECIPIENT = X509Recipient(samples.certificate(samples.rsa_key()))
IDENTITY = load_identities(samples.pem(samples.rsa_key()))[0]


@pytest.mark.parametrize("packet", [KEY, WITH_PATH], ids=["key", "passphrase"])
def test_every_format_reads_back(packet: VolumeKeyPacket) -> None:
    secret = SecretBytes(b"packet pass")
    written = {
        PacketFormat.CLEARTEXT: write_cleartext(packet),
        PacketFormat.PASSPHRASE: write_with_passphrase(packet, secret, os.urandom),
        PacketFormat.ASYMMETRIC: write_for_certificate(packet, RECIPIENT),
        PacketFormat.ASYMMETRIC_WRAP_SECRET_ONLY: write_secret_wrapped(packet, RECIPIENT),
    }
    for form, data in written.items():
        assert packet_format(data) == form
        assert open_packet(data, Keys(passphrase=secret, identity=IDENTITY)) == packet


@pytest.mark.parametrize("mode", ["ecb", "cbc-plain", "cbc-essiv:sha1", "xts-plain64", "cbc-plain64"])
def test_kmip_words_only_where_there_are_some(mode: str) -> None:
    data = write_cleartext(replace(KEY, cipher_mode=mode))
    assert (b"Cryptographic Parameters" in data) == (mode in ("ecb", "cbc-plain", "cbc-essiv:sha1"))
    assert open_packet(data, Keys()).cipher_mode == mode
    assert b"Cryptographic Algorithm" not in write_cleartext(replace(KEY, cipher_name="serpent"))


def test_conversion() -> None:
    contents = samples.contents()
    key = from_contents(contents, "volume-key")
    assert (key.secret.reveal(), key.cipher, key.key_bits) == (samples.KEY, "aes-xts-plain64", 512)
    assert (key.volume_uuid, key.volume_label, key.volume_path) == (samples.UUID, "root", "/dev/nvme0n1p3")
    words = from_contents(contents, "passphrase")
    assert (words.secret.reveal().decode(), words.passphrase_slot, words.cipher) == (samples.PASSPHRASE, 1, "")
    imported = to_imported(open_packet(write_cleartext(key), Keys()))
    assert (imported.kind, imported.secret, imported.uuid) == ("volume-key", key.secret, samples.UUID)
    assert imported.parameters().cipher == "aes-xts-plain64"
    assert to_imported(words).keyslot == 1


def test_what_does_not_convert() -> None:
    only_key = samples.contents(secrets=samples.contents().secrets[:1])
    with pytest.raises(UsageError, match="holds no passphrase"):
        from_contents(only_key, "passphrase")
    binary = samples.contents(secrets=(Secret("passphrase", SecretBytes(b"a\0b")),))
    with pytest.raises(UsageError, match="NUL"):
        from_contents(binary, "passphrase")
    for packet in (replace(KEY, secret=None), replace(KEY, volume_format="crypt_TrueCrypt")):
        with pytest.raises(DamagedInput):
            to_imported(packet)


def test_a_sealed_packet_is_not_written() -> None:
    with pytest.raises(UsageError):
        write_cleartext(replace(KEY, secret=None))


def test_only_rsa_certificates() -> None:
    with pytest.raises(UsageError):
        write_secret_wrapped(KEY, X509Recipient(samples.certificate(samples.ec_key())))


def symmetric_packet(cipher: str, mode: int, padding: int, key: bytes) -> bytes:
    """A format 4 packet, as libvolume_key makes it from an NSS key; Debian's command line cannot."""
    algorithm = AES(key) if cipher == "aes" else TripleDES(key)
    iv = os.urandom(algorithm.block_size // 8)
    clear = KEY.secret.reveal()
    if padding == wrapping.PADDING_PKCS5:
        padder = PKCS7(algorithm.block_size).padder()
        clear = padder.update(clear) + padder.finalize()
    encryptor = Cipher(algorithm, modes.CBC(iv) if mode == model.MODE_CBC else modes.ECB()).encryptor()
    parameters = Item.structure(
        model.CRYPTOGRAPHIC_PARAMETERS,
        Item.enumeration(model.BLOCK_CIPHER_MODE, mode),
        Item.enumeration(model.PADDING_METHOD, padding),
    )
    name = Item.text(model.UNIQUE_IDENTIFIER, wrapping.SECRET_KEY)
    wrapped = Item.structure(
        model.KEY_WRAPPING_DATA,
        Item.enumeration(model.WRAPPING_METHOD, wrapping.ENCRYPT_KEY_ONLY),
        Item.structure(model.ENCRYPTION_KEY_INFORMATION, name, parameters),
        *([Item(model.IV, 7, iv)] if mode == model.MODE_CBC else []),
    )
    material = Item(model.KEY_MATERIAL, 7, encryptor.update(clear) + encryptor.finalize())
    number = Item.enumeration(model.CRYPTOGRAPHIC_ALGORITHM, 3 if cipher == "aes" else 2)
    item = wrapping._with_block(KEY.to_item(), lambda block: wrapping._wrapped_block(block, material, number, wrapped))
    return MAGIC + b"\x04" + item.serialize()


@pytest.mark.parametrize("cipher", ["aes", "3des"])
@pytest.mark.parametrize("mode", [model.MODE_CBC, model.MODE_ECB])
@pytest.mark.parametrize("padding", [wrapping.PADDING_NONE, wrapping.PADDING_PKCS5])
def test_symmetric_wrapping(cipher: str, mode: int, padding: int) -> None:
    key = bytes(range(1, 25)) if cipher == "3des" else bytes(range(32))
    data = symmetric_packet(cipher, mode, padding, key)
    assert packet_format(data) == PacketFormat.SYMMETRIC_WRAP_SECRET_ONLY
    assert open_packet(data, Keys(symmetric_key=SecretBytes(key))) == KEY
    for wrong in (SecretBytes(b"short"), *((SecretBytes(key[::-1]),) if padding == wrapping.PADDING_PKCS5 else ())):
        with pytest.raises(KeyRejected):
            open_packet(data, Keys(symmetric_key=wrong))
    with pytest.raises(KeyRejected) as caught:
        open_packet(data, Keys())
    assert caught.value.code == "key-needed"


def test_unknown_wrapping_is_unsupported() -> None:
    key = SecretBytes(bytes(32))
    for mode, padding in ((9, 1), (1, 9)):
        data = symmetric_packet("aes", model.MODE_CBC, wrapping.PADDING_NONE, bytes(32))
        place = (
            Item.enumeration(model.BLOCK_CIPHER_MODE, 1).serialize()
            + Item.enumeration(model.PADDING_METHOD, 1).serialize()
        )
        other = (
            Item.enumeration(model.BLOCK_CIPHER_MODE, mode).serialize()
            + Item.enumeration(model.PADDING_METHOD, padding).serialize()
        )
        with pytest.raises(Unsupported):
            open_packet(data.replace(place, other), Keys(symmetric_key=key))
    with pytest.raises(Unsupported):
        open_packet(
            symmetric_packet("aes", 1, 1, bytes(32)).replace((0x81E64B1B).to_bytes(4, "big"), bytes(4)),
            Keys(symmetric_key=key),
        )
    by_certificate, by_key = write_secret_wrapped(KEY, RECIPIENT), symmetric_packet("aes", 1, 1, bytes(32))
    for data, form in ((by_certificate, b"\x04"), (by_key, b"\x03")):
        with pytest.raises(Unsupported):
            open_packet(data[:11] + form + data[12:], Keys(symmetric_key=key, identity=IDENTITY))


def test_a_format_byte_that_lies() -> None:
    data = write_secret_wrapped(KEY, RECIPIENT)
    with pytest.raises(DamagedInput, match="wraps its secret"):
        open_packet(data[:11] + b"\0" + data[12:], Keys())


def cleartext(old: bytes, new: bytes, packet: VolumeKeyPacket = KEY) -> bytes:
    data = write_cleartext(packet)
    assert old in data
    return data.replace(old, new)


@pytest.mark.parametrize(
    "data",
    [
        cleartext(b"Cryptographic Length", b"Cryptographic Lengtj"),
        cleartext((256).to_bytes(4, "big"), (255).to_bytes(4, "big")),
        cleartext((256).to_bytes(4, "big"), (128).to_bytes(4, "big")),
        cleartext(b"\x42\x00\x00\x3c", b"\x42\x00\x00\x3e"),
        cleartext(b"\x42\x01\x35\xf4", b"\x42\x01\x35\xf5"),
        write_cleartext(replace(PASSPHRASE, passphrase_slot=99999)),
        MAGIC + b"\0" + Item.structure(model.PACKET, Item.text(model.OBJECT_TYPE, "x")).serialize(),
        MAGIC + b"\0" + Item.structure(model.PACKET).serialize(),
        MAGIC + b"\0",
    ],
    ids=str,
)
def test_items_that_make_no_sense(data: bytes) -> None:
    with pytest.raises(DamagedInput):
        open_packet(data, Keys())


def test_items_have_types() -> None:
    number, text = Item.integer(1, -5), Item.text(2, "x")
    assert number.as_number() == -5
    for call in (text.as_number, number.as_text, text.as_bytes):
        with pytest.raises(DamagedInput):
            call()


def test_parsing_items_is_bounded() -> None:
    deep = Item.integer(1, 1)
    for _ in range(40):
        deep = Item.structure(2, deep)
    for data in (deep.serialize(), bytes(MAX_BYTES + 1), b"", Item.integer(1, 1).serialize() * 2, b"abc"):
        with pytest.raises(DamagedInput):
            parse_item(data)


def test_repr_hides_the_secret() -> None:
    assert "gehéim" not in repr(PASSPHRASE) + repr(PASSPHRASE.to_item())
