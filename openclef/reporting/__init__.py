"""Tables and figures for people to look at."""

from __future__ import annotations
