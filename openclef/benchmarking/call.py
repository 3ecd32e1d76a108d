"""What a call of the benchmark asks for, checked before anything is judged."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from openclef.protocol.probe import check_share
from openclef.signal import canonical_lead

__all__ = [
    "accepted_names",
    "leads_by_name",
    "listed",
    "place_for",
    "seed_list",
    "share_list",
]

_LARGEST_SEED = 2**32 - 1


def listed(name: str, given: Any) -> list[Any]:
    """What was given as a list: one name or number, or several.

    Args:
        name: Of the argument, for the message.
        given: What was given.

    Raises:
        ValueError: It is nothing that can be listed.

    Example:
        >>> listed("leads", "I"), listed("leads", ("I", "II"))
        (['I'], ['I', 'II'])
        >>> listed("leads", None)
        Traceback (most recent call last):
        ...
        ValueError: leads are None; pass a list.
    """
    if isinstance(given, (str, Real)) and not isinstance(given, bool):
        return [given]
    if isinstance(given, Iterable) and not isinstance(given, (bytes, Mapping)):
        try:
            return list(given)
        except TypeError:  # an array without an axis
            pass
    raise ValueError(f"{name} are {given!r}; pass a list.")


def accepted_names(name: str, given: Any, accepted: Sequence[str]) -> list[str]:
    """Names among those accepted, each once.

    Raises:
        ValueError: One is none of them.

    Example:
        >>> accepted_names("protocols", ["probe", "probe"], ["probe", "knn"])
        ['probe']
    """
    names = listed(name, given)
    unknown = [each for each in names if each not in accepted]
    if unknown:
        verb = "is" if name in ("split", "reference") else "are"
        raise ValueError(
            f"{name} {verb} {', '.join(map(repr, unknown))}; accepted are {', '.join(accepted)}."
        )
    return list(dict.fromkeys(names))


def seed_list(name: str, given: Any) -> tuple[int, ...]:
    """Seeds: different whole numbers.

    Raises:
        ValueError: They are not, or there is none.

    Example:
        >>> seed_list("seeds", range(2))
        (0, 1)
    """
    seeds = [] if isinstance(given, (str, Real)) else listed(name, given)
    whole = all(isinstance(each, Integral) and not isinstance(each, bool) for each in seeds)
    if isinstance(given, (str, Real)) or not whole or not all(0 <= one <= _LARGEST_SEED for one in seeds):
        raise ValueError(
            f"{name} are {given!r}; pass a list of whole numbers from 0 to {_LARGEST_SEED}, as (0, 1)."
        )
    if not seeds:
        raise ValueError(f"{name} are empty; pass at least one.")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"{name} are {given!r}; pass each once.")
    return tuple(int(each) for each in seeds)


def share_list(given: Any) -> list[float]:
    """Label shares, each once.

    Raises:
        ValueError: One is no share, or there is none.

    Example:
        >>> share_list((0.1, 1))
        [0.1, 1.0]
    """
    shares = listed("label_shares", given)
    for share in shares:
        check_share(share)
    if not shares:
        raise ValueError("label_shares are empty; pass at least one.")
    return list(dict.fromkeys(float(share) for share in shares))


def leads_by_name(given: Any) -> list[str] | None:
    """Leads under their usual names, each once; None stays.

    Raises:
        ValueError: One is no name, or there is none.

    Example:
        >>> leads_by_name(["i", "II"])
        ['I', 'II']
    """
    if given is None:
        return None
    leads = listed("leads", given)
    if not leads or not all(isinstance(lead, str) and lead.strip() for lead in leads):
        raise ValueError(
            f"leads are {'empty' if not leads else repr(given)}; pass names of leads, as ('I', 'II')."
        )
    return list(dict.fromkeys(canonical_lead(lead) for lead in leads))


def place_for(out: Any) -> Path:
    """The folder of the benchmark.

    Raises:
        ValueError: It is no path, or an empty one.

    Example:
        >>> place_for("runs/benchmark").name
        'benchmark'
    """
    if not isinstance(out, (str, os.PathLike)) or not str(out).strip():
        raise ValueError(f"out is {out!r}; pass the folder of the benchmark, for example 'runs/benchmark'.")
    return Path(out)
