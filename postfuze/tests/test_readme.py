"""The README's table of settings and `.env.example` name the same variables."""

import re

from postfuze.tests.e2e.stage import ROOT


def test_the_readme_lists_every_variable_of_the_example() -> None:
    listed = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    example = re.findall(r"^#? ?([A-Z][A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert listed == example
