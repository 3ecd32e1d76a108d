"""What `openclef speed` found: as a table to read, as Markdown to paste, as JSON to keep."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from openclef.store import write_atomically

__all__ = ["Speed"]

FORMAT = "openclef-speed"


class _Section(NamedTuple):
    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Speed:
    """The speed of a machine, as `openclef.speed.measure` found it.

    Args:
        facts: what the JSON holds: machine, settings, limits, input, training, embedding and agreement.

    Example:
        >>> speed = Speed({"format": "openclef-speed", "machine": {"cpu": "a processor", "threads": 2}})
        >>> print(speed.markdown())
        Cpu: a processor; threads: 2.
    """

    facts: dict[str, Any]

    @classmethod
    def read(cls, path: str | Path) -> Speed:
        """Read what `to_json` wrote.

        Args:
            path: the JSON file.

        Raises:
            ValueError: the file holds something else.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     _ = Speed({"format": "openclef-speed"}).to_json(Path(folder, "speed.json"))
            ...     Speed.read(Path(folder, "speed.json")).facts
            {'format': 'openclef-speed'}
        """
        try:
            facts = json.loads(Path(path).read_text())
        except (json.JSONDecodeError, UnicodeDecodeError):
            facts = None
        if not isinstance(facts, dict) or facts.get("format") != FORMAT:
            raise ValueError(f"{path} is no result of `openclef speed`; pass the file that its --out wrote.")
        return cls(facts)

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the result as JSON, and write it where a path is given.

        Args:
            path: the file to write, or None.

        Example:
            >>> json.loads(Speed({"format": "openclef-speed"}).to_json())
            {'format': 'openclef-speed'}
        """
        text = json.dumps(self.facts, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        if path is not None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(Path(path), lambda temporary: temporary.write_text(text))
        return text

    def table(self, width: int = 140) -> str:
        """Return the result as text to read in a terminal.

        Args:
            width: characters of a line.

        Example:
            >>> speed = Speed({"machine": {"cpu": "a processor"}, "limits": {"copy_gb_per_s": 20.0}})
            >>> "20 GB/s" in speed.table()
            True
        """
        from rich.box import SIMPLE
        from rich.console import Console
        from rich.table import Table

        console = Console(file=io.StringIO(), width=width, highlight=False)
        console.print(self._machine(), markup=False)
        for section in self._sections():
            shown = Table(title=section.title, title_justify="left", box=SIMPLE)
            for number, column in enumerate(section.columns):
                words = number == 0 or column == "what binds"
                shown.add_column(column, justify="left" if words else "right", overflow="fold")
            for row in section.rows:
                shown.add_row(*row)
            console.print(shown)
        file = console.file
        return file.getvalue() if isinstance(file, io.StringIO) else ""

    def markdown(self) -> str:
        """Return the result as Markdown tables.

        Example:
            >>> print(Speed({"limits": {"copy_gb_per_s": 20.0}}).markdown())
            **What the machine allows**
            <BLANKLINE>
            | limit | rate |
            | --- | --- |
            | memory copied, read and written | 20 GB/s |
        """
        parts = [self._machine()] if "machine" in self.facts else []
        for section in self._sections():
            lines = [_line(section.columns), _line(("---",) * len(section.columns))]
            lines += [_line(row) for row in section.rows]
            parts.append(f"**{section.title}**\n\n" + "\n".join(lines))
        return "\n\n".join(parts)

    def _machine(self) -> str:
        known = self.facts.get("machine", {})
        text = "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in known.items())
        quick = " A quick run, to see that it runs: the figures say nothing." if self._is_quick() else ""
        return f"{text[:1].upper()}{text[1:]}.{quick}" if text else ""

    def _is_quick(self) -> bool:
        return bool(self.facts.get("settings", {}).get("quick", False))

    def _sections(self) -> list[_Section]:
        made = [self._limits(), self._input(), self._network("training", "views"), self._network("embedding")]
        return [section for section in [*made, self._agreement()] if section.rows]

    def _limits(self) -> _Section:
        limits = self.facts.get("limits", {})
        rows = []
        for precision, by_size in limits.get("matrix_product_gflops", {}).items():
            size, rate = max(by_size.items(), key=lambda pair: pair[1])
            rows.append((f"matrix products, {precision} (best: {size} rows)", f"{_figure(rate)} GFLOP/s"))
        if "copy_gb_per_s" in limits:
            rows.append(
                ("memory copied, read and written", f"{_figure(limits['copy_gb_per_s'])} GB/s"),
            )
        return _Section("What the machine allows", ("limit", "rate"), rows)

    def _input(self) -> _Section:
        rows = []
        for row in self.facts.get("input", []):
            way = row["way"] + (" (slower than it should be)" if row.get("slow") else "")
            binds = row["profile"]["sentence"] if "profile" in row else ""
            expected = f"{row['ratio_to_expected']:.1f}" if "ratio_to_expected" in row else ""
            rows.append((way, _rate(row), _figure(row["ms"]), _ratio(row), expected, binds))
        columns = ("two views a record", "records/s", "ms a record", "× reference", "× 150/s", "what binds")
        return _Section("Input", columns, rows)

    def _network(self, work: str, items: str = "leads") -> _Section:
        rows = []
        found = self.facts.get(work, [])
        for row in found:
            cells = [
                f"{row['size']}, {row['precision']}",
                _rate(row),
                _figure(row["ms"]),
                _ratio(row),
                f"{row['share_of_limit']:.0%}",
            ]
            if work == "training":
                cells.append(f"{row['input_share']:.0%}" if "input_share" in row else "")
            if self._on_gpu():
                cells.append(_figure(row["peak_memory_gb"]) if "peak_memory_gb" in row else "")
            rows.append((*cells, row["profile"]["sentence"] if "profile" in row else ""))
        columns = [work, f"{items}/s", f"ms a {items[:-1]}", "× reference", "of the limit"]
        columns += ["input's share"] * (work == "training") + ["GB a step"] * self._on_gpu()
        return _Section(work.capitalize(), (*columns, "what binds"), rows)

    def _agreement(self) -> _Section:
        found = self.facts.get("agreement")
        columns = ("encoder", "leads", "median cosine", "lowest cosine")
        if not found:
            return _Section("bf16 against float32", columns, [])
        cosines = (f"{found['median_cosine']:.5f}", f"{found['lowest_cosine']:.5f}")
        return _Section("bf16 against float32", columns, [(found["model"], str(found["leads"]), *cosines)])

    def _on_gpu(self) -> bool:
        return self.facts.get("machine", {}).get("device") == "cuda"


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _figure(value: float) -> str:
    """Three significant digits, thousands set apart, never an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 0.001 else f"{value:.6f}"


def _rate(row: dict[str, Any]) -> str:
    spread = f" ({_figure(row['per_s_low'])}-{_figure(row['per_s_high'])})"
    return _figure(row["per_s"]) + (spread if len(row["seconds"]) > 1 else "")


def _ratio(row: dict[str, Any]) -> str:
    return f"{row['ratio']:.2f}" if "ratio" in row else ""
