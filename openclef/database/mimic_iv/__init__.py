"""Clinical metadata from MIMIC-IV's hospital tables: a value, its date and its source for every ECG.

`concepts.toml` holds the rules; there is one file for each kind of source (`patients`, `measurements`, `labs`,
`diagnoses`, `drugs`), and `extraction` puts them together.
"""

from __future__ import annotations
