"""The commands and the table of inputs of docs/risk.md."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from openclef import cli
from openclef.risk import SCORES
from openclef.risk.inputs import QUANTITIES

PAGE = (Path(__file__).parents[2] / "docs" / "risk.md").read_text()
EXAMPLES = re.findall(r"^openclef (score .*?) +# (.+)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("command", "printed"), EXAMPLES)
def test_worked_examples_print_what_the_page_says(command: str, printed: str, capsys) -> None:
    assert cli.main(shlex.split(command)) == 0
    value = json.loads(capsys.readouterr().out)["value"]
    expected = json.loads(printed)
    assert (value if value is None else round(value, 3)) == expected


def test_every_clinical_score_has_an_example() -> None:
    assert {command.split()[1] for command, _ in EXAMPLES} == set(SCORES) - {"age", "age_sex"}


def test_the_tables_name_every_score_and_input_with_its_range() -> None:
    for name, score in SCORES.items():
        assert re.search(rf"^\| `{name}` \|", PAGE, re.MULTILINE), name
        assert score.source.split(" (")[0] in PAGE
        for one in score.inputs:
            row = next(line for line in PAGE.splitlines() if line.startswith("| `") and f"`{one}`" in line)
            quantity = QUANTITIES[one]
            if quantity.kind == "number" and "years" not in one:
                assert f"{quantity.low:g} to {quantity.high:g}" in row
