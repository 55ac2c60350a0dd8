"""Links as they are sent: long texts in them are packed, so that a mail program or a server does not cut them off.

A query that is short stands as it is, to be read and changed by hand. Of a longer one the long values move into one
parameter, ``z``: their query string, compressed with zlib, in the letters that a URL takes (base64url). Both kinds are
read alike, and a value that stands beside ``z`` counts before one inside.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

PACKED = "z"
PLAIN = 1_800  # characters that a query may have unpacked; with the address before it, it stays under 2,000
LONG = 40  # characters of a value that is worth packing
MAX_PACKED = 60_000  # characters; servers refuse longer queries anyway
MAX_UNPACKED = 500_000  # bytes: a short link must not fill the memory
MAX_VALUES = 200
DAMAGED = "z: the packed part of this link is damaged, so what it says is left out."


def write_query(values: Mapping[str, str]) -> str:
    """Return a query string of the values, packed if it would be long."""
    plain = urlencode(values)
    if len(plain) <= PLAIN or PACKED in values:
        return plain
    long = {name: value for name, value in values.items() if len(value) > LONG}
    inside = urlencode(long).encode("ascii")
    if len(inside) > MAX_UNPACKED:  # it could not be read again
        return plain
    data = zlib.compress(inside, level=9)
    rest = {name: value for name, value in values.items() if name not in long}
    packed = urlencode(rest | {PACKED: base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")})
    return min(plain, packed, key=len)


def read_query(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the values of a query with those that were packed, and a note if these cannot be read. Never raises."""
    found = dict(values)
    packed = found.pop(PACKED, None)
    if packed is None:
        return found, []
    inside = _unpacked(packed)
    return (found, [DAMAGED]) if inside is None else (inside | found, [])


def _unpacked(packed: object) -> dict[str, str] | None:
    if not isinstance(packed, str) or len(packed) > MAX_PACKED:
        return None
    try:
        data = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
        reader = zlib.decompressobj()
        text = reader.decompress(data, MAX_UNPACKED)
        if not reader.eof:  # cut off, or larger than it may be
            return None
        return dict(parse_qsl(text.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_VALUES))
    except (binascii.Error, zlib.error, ValueError):
        return None
