"""Packets of volume_key in which only the secret is wrapped: to a certificate (3), or under a raw key (4).

NSS's names for the mechanisms of format 4 are written as algorithm, mode and padding.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.x509 import Certificate

from luksafe.errors import KeyRejected, Unsupported, UsageError
from luksafe.escrow.volume_key import model
from luksafe.escrow.volume_key.model import KEY_BLOCK, KEY_MATERIAL, KEY_VALUE, KEY_WRAPPING_DATA, key_block
from luksafe.escrow.volume_key.ttlv import BYTES, Item
from luksafe.secret import SecretBytes

ENCRYPT_KEY_ONLY = 0x81E64B1B
ISSUER_AND_SERIAL = "x-redhat.com:volume_key issuer/SN:"
SECRET_KEY = "x-redhat.com:volume_key secret key"  # noqa: S105 - a name
PADDING_NONE = 1
PADDING_PKCS5 = 3
PADDING_PKCS1V15 = 8
ALGORITHM_3DES = 2
ALGORITHM_RSA = 4


def unwrap_with_private_key(packet: Item, key: RSAPrivateKey) -> SecretBytes:
    """The secret of a format 3 packet; raises KeyRejected for another key, DamagedInput, Unsupported."""
    from luksafe.escrow.recipients.content_key import open_pkcs1v15

    information = _information(packet)
    if (
        _number(information, model.PADDING_METHOD) != PADDING_PKCS1V15
        or _block_number(packet, model.CRYPTOGRAPHIC_ALGORITHM) != ALGORITHM_RSA
    ):
        raise Unsupported("the secret is wrapped in a way that volume_key never used")
    secret = open_pkcs1v15(_material(packet), key)
    if secret is None:
        raise KeyRejected("the volume_key packet is not sealed to this private key (or it is damaged)")
    return secret


def unwrap_with_symmetric_key(packet: Item, key: SecretBytes) -> SecretBytes:
    """The secret of a format 4 packet; raises KeyRejected, DamagedInput, Unsupported."""
    information = _information(packet)
    algorithm = _symmetric(_block_number(packet, model.CRYPTOGRAPHIC_ALGORITHM), key)
    iv = key_block(packet).find(KEY_WRAPPING_DATA, model.IV)
    mode_number = _number(information, model.BLOCK_CIPHER_MODE)
    padding = _number(information, model.PADDING_METHOD)
    if mode_number not in (model.MODE_ECB, model.MODE_CBC) or padding not in (PADDING_NONE, PADDING_PKCS5):
        raise Unsupported("the secret is wrapped in a way that volume_key never used")
    try:
        is_cbc = mode_number == model.MODE_CBC
        mode = modes.CBC(iv.as_bytes() if iv else b"") if is_cbc else modes.ECB()  # noqa: S305 - what is there
        decryptor = Cipher(algorithm, mode).decryptor()
        text = decryptor.update(_material(packet)) + decryptor.finalize()
        if padding == PADDING_PKCS5:
            unpadder = PKCS7(algorithm.block_size).unpadder()
            text = unpadder.update(text) + unpadder.finalize()
    except ValueError:
        raise KeyRejected("the secret in the volume_key packet is not wrapped with this key (or damaged)") from None
    return SecretBytes(text)


def wrap_for_certificate(packet: Item, certificate: Certificate, issuer: bytes, serial: bytes) -> Item:
    """The packet with its secret encrypted to an RSA certificate; ``issuer`` and ``serial`` are as in its DER."""
    public_key = certificate.public_key()
    if not isinstance(public_key, RSAPublicKey):
        raise UsageError("volume_key knows RSA certificates only", hint="make a luksafe packet for this certificate")
    secret = key_block(packet).child(KEY_VALUE, KEY_MATERIAL)
    clear = secret.find(model.KEY) or secret
    identifier = ISSUER_AND_SERIAL + " ".join(base64.b64encode(part).decode() for part in (issuer, serial))
    information = Item.structure(
        model.ENCRYPTION_KEY_INFORMATION,
        Item.text(model.UNIQUE_IDENTIFIER, identifier),
        Item.structure(model.CRYPTOGRAPHIC_PARAMETERS, Item.enumeration(model.PADDING_METHOD, PADDING_PKCS1V15)),
    )
    wrapping = Item.structure(KEY_WRAPPING_DATA, Item.enumeration(model.WRAPPING_METHOD, ENCRYPT_KEY_ONLY), information)
    wrapped = Item(KEY_MATERIAL, BYTES, public_key.encrypt(clear.as_bytes(), PKCS1v15()))
    algorithm = Item.enumeration(model.CRYPTOGRAPHIC_ALGORITHM, ALGORITHM_RSA)
    return _with_block(packet, lambda block: _wrapped_block(block, wrapped, algorithm, wrapping))


def _wrapped_block(block: Item, material: Item, *behind: Item) -> Item:
    value = block.child(KEY_VALUE)
    attributes = (item for item in value.items if item.tag != KEY_MATERIAL)
    kind = Item.enumeration(model.KEY_VALUE_TYPE, model.KEY_OPAQUE)
    return Item.structure(KEY_BLOCK, kind, Item.structure(KEY_VALUE, material, *attributes), *behind)


def _with_block(packet: Item, change: Callable[[Item], Item]) -> Item:
    """The packet with its key block changed, wherever that stands in it."""
    items = (change(item) if item.tag == KEY_BLOCK else _with_block(item, change) for item in packet.items)
    return Item(packet.tag, packet.type, packet.value, tuple(items))


def _information(packet: Item) -> Item:
    wrapping = key_block(packet).child(KEY_WRAPPING_DATA)
    if wrapping.child(model.WRAPPING_METHOD).as_number() != ENCRYPT_KEY_ONLY:
        raise Unsupported("the secret is wrapped in a way that volume_key never used")
    return wrapping.child(model.ENCRYPTION_KEY_INFORMATION, model.CRYPTOGRAPHIC_PARAMETERS)


def _number(parameters: Item, tag: int) -> int | None:
    found = parameters.find(tag)
    return None if found is None else found.as_number()


def _block_number(packet: Item, tag: int) -> int | None:
    return _number(key_block(packet), tag)


def _material(packet: Item) -> bytes:
    return key_block(packet).child(KEY_VALUE, KEY_MATERIAL).as_bytes()


def _symmetric(algorithm: int | None, key: SecretBytes) -> BlockCipherAlgorithm:
    try:
        if algorithm == model.ALGORITHM_AES:
            return AES(key.reveal())
        if algorithm == ALGORITHM_3DES:
            return TripleDES(key.reveal())
    except ValueError:
        raise KeyRejected("a key of this length did not wrap the secret") from None
    raise Unsupported("the secret is wrapped with single DES or an unknown cipher")
