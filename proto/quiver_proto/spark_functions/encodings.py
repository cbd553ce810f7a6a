"""Of bytes as text, and text as bytes: bases, hexadecimal digits, charsets, addresses."""

from __future__ import annotations

import base64 as _base64
import re
import urllib.parse

from quiver_proto.spark_functions.java import SparkValueError


def base64(data: bytes) -> str:
    return _base64.b64encode(data).decode()


def unbase64(text: str) -> bytes:
    return _unbase64(text, r"[^A-Za-z0-9+/]")  # As of mail: what is no letter of the code is passed over.


def _strict_base64(text: str) -> bytes:
    return _unbase64(text, r"\s")


def _unbase64(text: str, passed_over: str) -> bytes:
    plain = re.sub(passed_over, "", text)
    try:
        return _base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        raise SparkValueError(
            "CONVERSION_INVALID_INPUT", f"The value '{text}' cannot be converted to \"BINARY\": it is no base64."
        ) from None


def to_base32(data: bytes) -> str:
    return _base64.b32encode(data).decode()


def from_base32(text: str) -> bytes:
    return _base64.b32decode(text)


_CHARSETS = {
    "US-ASCII": "ascii",
    "ISO-8859-1": "latin-1",
    "UTF-8": "utf-8",
    "UTF-16BE": "utf-16-be",
    "UTF-16LE": "utf-16-le",
    "UTF-32": "utf-32-be",
}


def _charset(name: str) -> str:
    known = _CHARSETS.get(name.upper())
    if known is None:
        raise SparkValueError("INVALID_PARAMETER_VALUE.CHARSET", f"Expects one of {', '.join([*_CHARSETS, 'UTF-16'])}, but got '{name}'.")
    return known


def encode(text: str, charset: str) -> bytes:
    if charset.upper() == "UTF-16":
        return b"\xfe\xff" + text.encode("utf-16-be") if text else b""
    return text.encode(_charset(charset))


def decode(data: bytes, charset: str) -> str:
    if charset.upper() == "UTF-16":
        return data.decode("utf-16" if data[:2] in (b"\xfe\xff", b"\xff\xfe") else "utf-16-be")
    return data.decode(_charset(charset))


def unhex(text: str) -> bytes | None:
    try:
        return bytes.fromhex("0" * (len(text) % 2) + text)
    except ValueError:
        return None


def hexadecimal(value: int | bytes | str) -> str:
    if isinstance(value, int):
        return f"{value & 0xFFFFFFFFFFFFFFFF:X}"
    return (value.encode() if isinstance(value, str) else value).hex().upper()


def to_binary(text: str, form: str = "hex") -> bytes:
    match form.lower():
        case "hex":
            data = unhex(text)
            if data is None:
                raise SparkValueError(
                    "CONVERSION_INVALID_INPUT", f"The value '{text}' (hex) cannot be converted to \"BINARY\" because it is malformed."
                )
            return data
        case "utf-8" | "utf8":
            return text.encode()
        case "base64":
            return _strict_base64(text)
        case _:
            raise SparkValueError("INVALID_PARAMETER_VALUE", f"the format is hex, utf-8 or base64, not '{form}'")


def try_to_binary(text: str, form: str = "hex") -> bytes | None:
    try:
        return to_binary(text, form)
    except SparkValueError:
        return None


def is_valid_utf8(data: bytes) -> bool:
    return try_validate_utf8(data) is not None


def make_valid_utf8(data: bytes) -> str:
    return data.decode(errors="replace")


def validate_utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise SparkValueError("INVALID_UTF8_STRING", f"Invalid UTF8 byte sequence found in string: {data!r}.") from None


def try_validate_utf8(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def url_encode(text: str) -> str:
    return urllib.parse.quote_plus(text, safe="*-._").replace("~", "%7E")


def url_decode(text: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise SparkValueError("CANNOT_DECODE_URL", f"The provided URL cannot be decoded: {text}.")
    return urllib.parse.unquote_plus(text)


def try_url_decode(text: str) -> str | None:
    try:
        return url_decode(text)
    except SparkValueError:
        return None


def parse_url(text: str, part: str, key: str | None = None) -> str | None:
    if re.search(r"[\s<>\"{}|\\^`]", text):
        raise SparkValueError("INVALID_URL", f"The url is invalid: {text}. Use `try_parse_url` to tolerate it and return NULL.")
    return _url_part(text, part, key)


def try_parse_url(text: str, part: str, key: str | None = None) -> str | None:
    try:
        return parse_url(text, part, key)
    except SparkValueError:
        return None


def _url_part(text: str, part: str, key: str | None) -> str | None:
    match = re.match(r"^(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$", text)
    assert match is not None
    scheme, authority, path, query, reference = match.groups()
    if key is not None:
        found = re.search(rf"(?:^|&){re.escape(key)}=([^&]*)", query or "") if part == "QUERY" else None
        return found.group(1) if found else None
    user, _, host = (authority or "").rpartition("@")
    match part:
        case "HOST":
            return re.sub(r":\d*$", "", host) or None
        case "PATH":
            return path
        case "QUERY":
            return query
        case "REF":
            return reference
        case "PROTOCOL":
            return scheme
        case "FILE":
            return path + ("" if query is None else f"?{query}")
        case "AUTHORITY":
            return authority
        case "USERINFO":
            return user or None
        case _:
            return None
