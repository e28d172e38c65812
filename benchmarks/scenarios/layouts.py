"""Name the layouts that an entry of the data, or what a network returns, can have."""

from __future__ import annotations

IMAGE = "image"

# Name → what the axes are, and what JAX gets. torch gets every array as the spec draws it.
LAYOUTS = {
    IMAGE: "[batch, channels, *space] in the spec; in JAX the channels come last",
    "sequence": "[batch, tokens, width] in the spec and in both frameworks",
    "as it is": "any axes, the same in the spec and in both frameworks",
}
