"""Where to compute: the processor's name, and devices, which are tried before any work begins."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["checked_device", "processor_name"]


def checked_device(device: Any) -> torch.device:
    """Return a device that PyTorch knows and can compute on.

    Args:
        device: Its name, such as "cpu", "cuda" or "cuda:1", or a `torch.device`.

    Raises:
        ValueError: It is none, or not there.

    Example:
        >>> checked_device("cpu")
        device(type='cpu')
        >>> checked_device("gpu")
        Traceback (most recent call last):
        ...
        ValueError: device is 'gpu', which cannot be used (...); pass for example 'cpu' or 'cuda', or None.
    """
    import torch

    try:
        if not isinstance(device, (str, torch.device)):
            raise TypeError("it is no text")
        torch.empty(1, device=device).tolist()  # on "meta" there are no numbers
    except (
        RuntimeError,
        AssertionError,
        TypeError,
        NotImplementedError,
        ImportError,
        AttributeError,
    ) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise ValueError(
            f"device is {str(device)!r}, which cannot be used ({reason}); pass for example 'cpu' or 'cuda', or None."
        ) from None
    return torch.device(device)


def processor_name() -> str:
    """Return what this machine's processor is called, or its kind where the system does not tell.

    Example:
        >>> processor_name() != ""
        True
    """
    listed = Path("/proc/cpuinfo")
    if listed.exists():
        for line in listed.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine() or "unknown"
