"""CMS messages (RFC 5652, RFC 5083) as far as packets need them: their structure, and how their content is encrypted.

Written: AuthEnvelopedData with AES-256-GCM. Read as well: EnvelopedData with AES or 3DES in CBC mode, also in BER.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asn1crypto import cms, core, pem
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, CipherAlgorithm, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.padding import PKCS7

from luksafe.errors import DamagedInput, Unsupported
from luksafe.secret import SecretBytes
from luksafe.wall import walled

MAX_RECIPIENTS = 256
TAG_BYTES = 16
NONCE_BYTES = 12

# What asn1crypto raises when bytes are not what a type wants; it parses on access, so any of them may come late.
PARSE_ERRORS = (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError)


class GcmParameters(core.Sequence):  # type: ignore[misc]
    """RFC 5084: the nonce, and the length of the tag."""

    _fields = [("nonce", core.OctetString), ("tag_bytes", core.Integer, {"default": 12})]  # noqa: RUF012


@dataclass(frozen=True, slots=True)
class CmsMessage:
    """A parsed message. ``tag`` is None for EnvelopedData, which authenticates nothing; ``encoded`` is all of it."""

    encoded: bytes
    recipient_infos: tuple[Any, ...]
    recipient_infos_der: bytes
    algorithm: str
    iv: bytes
    ciphertext: bytes
    tag: bytes | None = None
    auth_attributes: bytes = b""


def build_message(recipient_infos_der: bytes, nonce: bytes, ciphertext: bytes, tag: bytes) -> bytes:
    """An AuthEnvelopedData with AES-256-GCM, as DER; ``recipient_infos_der`` is the whole SET."""
    parameters = GcmParameters({"nonce": nonce, "tag_bytes": TAG_BYTES})
    algorithm = {"algorithm": "aes256_gcm", "parameters": parameters}
    content = {
        "content_type": "data",
        "content_encryption_algorithm": algorithm,
        "encrypted_content": ciphertext,
    }
    message = cms.AuthEnvelopedData(
        {
            "version": "v0",
            "recipient_infos": cms.RecipientInfos.load(recipient_infos_der),
            "auth_encrypted_content_info": content,
            "mac": tag,
        }
    )
    return bytes(cms.ContentInfo({"content_type": "authenticated_enveloped_data", "content": message}).dump())


@walled("a CMS message")
def parse_message(data: bytes) -> CmsMessage:
    """Read a message, DER, BER or PEM; raises DamagedInput, Unsupported for other kinds of CMS."""
    try:
        if pem.detect(data):
            _, _, data = pem.unarmor(data)
        info = cms.ContentInfo.load(data)
        kind = info["content_type"].native
        if kind == "authenticated_enveloped_data":
            return _message(data, info["content"], "auth_encrypted_content_info")
        if kind == "enveloped_data":
            return _message(data, info["content"], "encrypted_content_info")
    except PARSE_ERRORS as error:
        raise DamagedInput(f"the CMS message is damaged: {_first_line(error)}") from None
    raise Unsupported(f"CMS of the kind {kind} holds nothing encrypted to a certificate")


def _message(encoded: bytes, body: Any, content_name: str) -> CmsMessage:
    content = body[content_name]
    algorithm = content["content_encryption_algorithm"]
    is_authenticated = content_name.startswith("auth_")
    has_attributes = is_authenticated and isinstance(body["auth_attrs"], cms.CMSAttributes)
    infos = tuple(info.chosen for info in body["recipient_infos"])
    if len(infos) > MAX_RECIPIENTS:
        raise ValueError(f"{len(infos)} recipients")
    return CmsMessage(
        encoded=encoded,
        recipient_infos=infos,
        recipient_infos_der=bytes(body["recipient_infos"].dump()),
        algorithm=str(algorithm["algorithm"].native),
        iv=_iv(algorithm),
        ciphertext=bytes(content["encrypted_content"].native or b""),
        tag=bytes(body["mac"].native) if is_authenticated else None,
        auth_attributes=bytes(body["auth_attrs"].untag().dump()) if has_attributes else b"",
    )


def _iv(algorithm: Any) -> bytes:
    if algorithm["algorithm"].native.endswith("_gcm"):
        return bytes(algorithm["parameters"].parse(GcmParameters)["nonce"].native)
    return bytes(algorithm["parameters"].native)


def encrypt_content(key: SecretBytes, nonce: bytes, plaintext: bytes) -> tuple[bytes, bytes]:
    """The ciphertext and its tag, by AES-256-GCM."""
    sealed = AESGCM(key.view).encrypt(nonce, plaintext, None)
    return sealed[:-TAG_BYTES], sealed[-TAG_BYTES:]


def decrypt_content(message: CmsMessage, key: SecretBytes) -> SecretBytes:
    """The plaintext; raises DamagedInput where a tag or the padding is wrong, Unsupported for other ciphers."""
    cipher = _block_cipher(message.algorithm, key)
    try:
        if message.tag is not None:
            text = AESGCM(key.view).decrypt(
                message.iv, message.ciphertext + message.tag, message.auth_attributes or None
            )
            return SecretBytes(text)
        decryptor = Cipher(cipher, modes.CBC(message.iv)).decryptor()
        unpadder = PKCS7(cipher.block_size).unpadder()  # type: ignore[attr-defined]
        padded = decryptor.update(message.ciphertext) + decryptor.finalize()
        return SecretBytes(unpadder.update(padded) + unpadder.finalize())
    except (InvalidTag, ValueError):
        raise DamagedInput("the encrypted content is damaged", hint="take another copy of the packet") from None


def _block_cipher(algorithm: str, key: SecretBytes) -> CipherAlgorithm:
    """The block cipher of a content encryption algorithm; raises DamagedInput where the key's size does not fit."""
    name, _, mode = algorithm.partition("_")
    sizes = {"aes128": 16, "aes192": 24, "aes256": 32, "tripledes": 24}
    if name not in sizes or mode not in ("cbc", "gcm", "3key"):
        raise Unsupported(f"CMS content encrypted with {algorithm}", hint="open it with: openssl cms -decrypt")
    if len(key) != sizes[name]:
        raise DamagedInput("the content key does not have the size that its cipher wants")
    return TripleDES(key.reveal()) if name == "tripledes" else AES(key.view)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]
