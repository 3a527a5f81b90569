"""How glibc gives memory back."""

from __future__ import annotations

import ctypes

# Of its malloc.h.
M_MMAP_THRESHOLD = -3
# More than a piece of input or of a COPY, which come and go all the time.
LARGE_BYTES = 3 << 19


def keep_small() -> None:
    """Have large rows given back at once; glibc would keep their memory once some were freed."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
