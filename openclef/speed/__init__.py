"""How fast this machine reads, trains and embeds, and what binds it: `openclef speed`.

Every rate stands beside what the machine's arithmetic would allow and beside a plain reference in the same run.
`docs/performance.md` says how to read the numbers.
"""

from __future__ import annotations

from openclef.speed.measuring import measure
from openclef.speed.result import Speed

__all__ = ["Speed", "measure"]
