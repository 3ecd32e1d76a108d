"""Encoders that come with the package, so that embedding works right after the install."""

from __future__ import annotations

from pathlib import Path

__all__ = ["SHIPPED", "shipped_folder"]

SHIPPED = {
    "openclef-small-sim": "trained on simulated ECGs only (studies/small_sim): to try things out, not to conclude from",
}
"""Shipped encoders by name, and what each is."""


def shipped_folder(name: str | Path) -> Path | None:
    """Return the run folder of a shipped encoder, or None where no encoder of this name comes with the package.

    Args:
        name: One of `SHIPPED`.

    Example:
        >>> shipped_folder("openclef-small-sim").name
        'openclef-small-sim'
        >>> shipped_folder("runs/mine") is None
        True
    """
    return Path(__file__).parent / "shipped_models" / str(name) if str(name) in SHIPPED else None
