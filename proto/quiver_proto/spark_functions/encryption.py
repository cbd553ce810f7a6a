"""AES as Spark has it, and keyed hashes. AES needs the package cryptography where queries run."""

from __future__ import annotations

import hmac as keyed
import os
from typing import Any

from quiver_proto.spark_functions.java import SparkValueError

_DIGESTS = {"MD5": "md5", "SHA-1": "sha1", "SHA-224": "sha224", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
_IV = {"GCM": 12, "CBC": 16, "ECB": 0}
_TAG = 16


def hmac(key: bytes, message: bytes, algorithm: str = "SHA-256") -> bytes:
    name = algorithm.upper()
    digest = _DIGESTS.get(name) or _DIGESTS.get(name.replace("SHA", "SHA-"))
    if digest is None:
        raise SparkValueError("INVALID_PARAMETER_VALUE.HMAC_ALGORITHM", f"`hmac` knows {', '.join(_DIGESTS)}, not '{algorithm}'.")
    if not key:
        raise _wrong("HMAC_CRYPTO_ERROR", "the key of `hmac` is empty")
    return keyed.digest(key, message, digest)


def aes_encrypt(data: bytes, key: bytes, mode: str = "GCM", padding: str = "DEFAULT", iv: bytes = b"", aad: bytes = b"") -> bytes:
    """What is written before the text: the start, of GCM and CBC; after it: the tag, of GCM."""
    name = _checked("aes_encrypt", key, mode, padding)
    if iv and (name == "ECB" or len(iv) != _IV[name]):
        raise _wrong(
            "AES_IV_LENGTH" if name != "ECB" else "UNSUPPORTED_AES_IV", f"{name} takes a start of {_IV[name]} bytes, not {len(iv)}"
        )
    if aad and name != "GCM":
        raise _wrong("AES_AAD", f"only GCM takes additional data, not {name}")
    start = iv or os.urandom(_IV[name])
    if name == "GCM":
        return start + bytes(_gcm(key).encrypt(start, data, aad))
    fill = 16 - len(data) % 16
    return start + bytes(_blocks(key, name, start).encryptor().update(data + bytes([fill]) * fill))


def aes_decrypt(data: bytes, key: bytes, mode: str = "GCM", padding: str = "DEFAULT", aad: bytes = b"") -> bytes:
    name = _checked("aes_decrypt", key, mode, padding)
    if aad and name != "GCM":
        raise _wrong("AES_AAD", f"only GCM takes additional data, not {name}")
    result = _decrypted(data, key, name, aad)
    if result is None:
        raise _wrong("AES_CRYPTO_ERROR", "the text was not encrypted with this key, mode and additional data")
    return result


def try_aes_decrypt(data: bytes, key: bytes, mode: str = "GCM", padding: str = "DEFAULT", aad: bytes = b"") -> bytes | None:
    """Null where it can't be."""
    try:
        return _decrypted(data, key, _checked("try_aes_decrypt", key, mode, padding), aad)
    except SparkValueError:
        return None


def _decrypted(data: bytes, key: bytes, name: str, aad: bytes) -> bytes | None:
    start, text = data[: _IV[name]], data[_IV[name] :]
    if name == "GCM":
        cipher = _gcm(key)
        from cryptography.exceptions import InvalidTag

        try:
            return bytes(cipher.decrypt(start, text, aad)) if len(start) == _IV[name] and len(text) >= _TAG else None
        except InvalidTag:
            return None
    if len(start) < _IV[name] or not text or len(text) % 16:
        return None
    plain: bytes = _blocks(key, name, start).decryptor().update(text)
    fill = plain[-1]
    return plain[:-fill] if 1 <= fill <= 16 and plain.endswith(bytes([fill]) * fill) else None


def _checked(function: str, key: bytes, mode: str, padding: str) -> str:
    """The mode, in capitals."""
    name, filled = mode.upper(), padding.upper()
    if len(key) not in (16, 24, 32):
        raise _wrong("AES_KEY_LENGTH", f"the key of `{function}` has 16, 24 or 32 bytes, not {len(key)}")
    if name not in _IV or filled not in ("DEFAULT", "NONE" if name == "GCM" else "PKCS"):
        raise SparkValueError("UNSUPPORTED_FEATURE.AES_MODE", f"AES-{name} with the padding {filled} by the `{function}` function.")
    return name


def _wrong(condition: str, why: str) -> SparkValueError:
    return SparkValueError(f"INVALID_PARAMETER_VALUE.{condition}", f"{why[0].upper()}{why[1:]}.")


def _gcm(key: bytes) -> Any:
    _require()
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _blocks(key: bytes, mode: str, start: bytes) -> Any:
    _require()
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    return Cipher(algorithms.AES(key), modes.CBC(start) if mode == "CBC" else modes.ECB())


def _require() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise SparkValueError(
            "UNSUPPORTED_FEATURE.AES", "AES needs the package cryptography on executors: pip install 'quiver-cluster[crypto]'."
        ) from None
