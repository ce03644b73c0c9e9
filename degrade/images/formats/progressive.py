"""Whether a progressive JPEG has all of its scans: decoders show what is there, however little, and call it whole."""

import re
import struct

_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)  # not a stuffed byte, and not a restart
_SEQUENTIAL, _SOF2, _SOS, _EOI = (0xC0, 0xC1), 0xC2, 0xDA, 0xD9
_ALONE = (0x01, 0xD8, _EOI)  # markers without a length
_NOT_SENT = 255


def missing_scans(jpeg: bytes) -> bool:
    """True if a JPEG is progressive and some bit of some coefficient of some component is in none of its scans.

    A scan sends the bits of coefficients first to last of its components down to bit `low` (T.81, B.2.3 and G.1.1.1);
    a whole file ends with each of them sent down to bit 0. Sequential files are never missing any.
    """
    low: dict[int, list[int]] = {}
    at = 2
    while found := _MARKER.search(jpeg, at):
        kind, at = found[1][0], found.end()
        if kind in _SEQUENTIAL:
            return False
        if kind == _EOI:
            break
        if kind in _ALONE or at + 2 > len(jpeg):
            continue
        body = jpeg[at + 2 : at + struct.unpack_from(">H", jpeg, at)[0]]
        if kind == _SOF2:
            low = {component: [_NOT_SENT] * 64 for component in body[6::3]}
        elif kind == _SOS and low:
            count = body[0]
            first, last, bits = body[1 + 2 * count : 4 + 2 * count]
            for component in body[1 : 1 + 2 * count : 2]:
                low[component][first : last + 1] = [bits & 15] * (last + 1 - first)
        at += 2 + len(body)
    return any(bit for bits in low.values() for bit in bits)
