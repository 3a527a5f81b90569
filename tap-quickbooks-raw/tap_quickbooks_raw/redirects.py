"""What the address says that Intuit sends a browser back to."""

from __future__ import annotations

import hmac
from urllib.parse import parse_qs, urlsplit


def read_answer(address: str) -> dict[str, str]:
    """Return the parameters of an address that are given once; none if it is no address."""
    # What a terminal could not decode cannot be encoded again, either.
    text = address.encode(errors="replace").decode()
    try:
        answer = parse_qs(urlsplit(text.strip().strip("'\"<>")).query)
    except ValueError:
        return {}
    return {name: values[0] for name, values in answer.items() if len(values) == 1}


def belongs(answer: dict[str, str], state: str) -> bool:
    """Whether an answer is one to the sign-in that has this state."""
    return hmac.compare_digest(answer.get("state", "").encode(), state.encode())
