"""The checksums that FFV1 (RFC 9043) keeps of its slices: its decoder hides a slice that fails and says nothing."""

import zlib

_SIZE, _TRAILER = 3, 8
"""Bytes of a slice's length at the start of its trailer, and of the whole trailer: length, error status, CRC."""
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_SUM_OF_WHOLE = 0xFFFFFFFF
"""The CRC-32 of FFV1 begins with zeros and runs over the bits in the other order: zlib's of the reversed bits,
begun and read inverted. Over a slice with its own CRC it ends with zeros."""


class SliceChecksums:
    """Told of one stream's packets in order. Some streams have no checksums; that this one does is known from its first
    whole packet on."""

    def __init__(self) -> None:
        self._known = False
        self._doubtful = False

    def find_damage(self, packet: bytes) -> bool:
        """Whether this packet, or one that could not be told of then, is not what was written."""
        if not packet:  # the end of the stream
            return False
        whole = _is_whole(packet)
        self._known = self._known or whole
        self._doubtful = self._doubtful or not whole
        if not self._known or not self._doubtful:
            return False
        self._doubtful = False
        return True


def _is_whole(packet: bytes) -> bool:
    end = len(packet)
    while end >= _TRAILER:
        at = end - _TRAILER
        start = at - int.from_bytes(packet[at : at + _SIZE], "big")
        if start < 0 or zlib.crc32(packet[start:end].translate(_REVERSED), _SUM_OF_WHOLE) != _SUM_OF_WHOLE:
            return False
        end = start
    return end == 0
