"""Find out how wide standard output is, and whether it shows colours."""

from __future__ import annotations


def width_and_colour(
    default: int, *, narrowest: int, widest: int | None = None
) -> tuple[int, bool]:
    """Return the columns to use on standard output, and whether to print colours there.

    Args:
        default: columns where the output is no terminal, such as a file or a pipe.
        narrowest: fewest columns to use; a narrower terminal breaks the lines itself.
        widest: most columns to use; None for as many as the terminal has.
    """
    from rich.console import Console

    console = Console()
    width = default
    if console.is_terminal:
        width = max(console.width, narrowest)
        width = width if widest is None else min(width, widest)
    return width, console.color_system is not None and not console.no_color
