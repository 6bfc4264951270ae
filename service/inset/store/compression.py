"""zstd, as the store uses it: fast where somebody waits, hard where nobody does."""

import threading

from backports.zstd import (
    CompressionParameter,
    DecompressionParameter,
    ZstdCompressor,
    ZstdDict,
    ZstdError,
    compress,
    decompress,
)

_FAST, _HARD, _HARDEST = 1, 12, 19
_LARGEST_HARDEST = 1024 * 1024
"""Bytes up to which the hardest level is tried, which makes tables of some outputs a tenth smaller, at a few MB/s."""
_LARGEST_WINDOW = 28
"""As a power of two: a notebook and the one before it, at the default limit of 100 MB each."""

Damaged = ZstdError
"""What unpacking raises if the bytes are not what was packed."""


class _Kept(threading.local):
    """What each thread compresses with: to make it takes as long as to compress a few KB."""

    def __init__(self) -> None:
        self.fast = ZstdCompressor(level=_FAST)


_KEPT = _Kept()


def pack(content: bytes | memoryview) -> bytes:
    """Compress while somebody waits. Higher levels take twice the time and more for two points of size."""
    return _KEPT.fast.compress(content, ZstdCompressor.FLUSH_FRAME)


def pack_hard(content: bytes) -> bytes:
    """Compress off the request path."""
    return compress(content, level=_HARDEST if len(content) <= _LARGEST_HARDEST else _HARD)


def unpack(packed: bytes) -> bytes:
    """Give back what was packed. Raises `Damaged`."""
    return decompress(packed)


def patch(content: bytes, base: bytes) -> bytes:
    """Write `content` as what differs from `base`."""
    window = min(max((len(content) + len(base)).bit_length(), 10), _LARGEST_WINDOW)
    options: dict[int, int] = {
        CompressionParameter.compression_level: _HARD,
        CompressionParameter.window_log: window,
        CompressionParameter.enable_long_distance_matching: 1,
    }
    return compress(content, options=options, zstd_dict=_prefix(base))


def unpatch(patched: bytes, base: bytes) -> bytes:
    """Give back what was written as a difference. Raises `Damaged`."""
    options: dict[int, int] = {DecompressionParameter.window_log_max: _LARGEST_WINDOW}
    return decompress(patched, options=options, zstd_dict=_prefix(base))


def _prefix(base: bytes) -> tuple[ZstdDict, int] | None:
    # zstd takes none that is shorter than this.
    return ZstdDict(base, is_raw=True).as_prefix if len(base) >= 8 else None
