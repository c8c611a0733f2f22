"""JSON for the wire: ASCII only, so that no client splits a line at U+2028 or cuts a character in two."""

import json

import msgspec

_encoder = msgspec.json.Encoder()


def encode_json(value: object) -> bytes:
    """Return compact ASCII-only JSON of a struct, list, dict or plain value.

    Clients split lines with functions that break at U+0085, U+2028 and U+2029 too; escaped, they are safe. Where half
    of a surrogate pair stands, as for bytes of a header that are no text, the answer has a question mark.
    """
    encoded = _encode(value)
    if encoded.isascii():
        return encoded
    return json.dumps(msgspec.json.decode(encoded), separators=(",", ":")).encode("ascii")


def _encode(value: object) -> bytes:
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        plain = msgspec.to_builtins(value)
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
