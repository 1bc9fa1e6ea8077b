"""What is tried is what the page says."""

import re
from pathlib import Path

from tests.attacks import ATTACKS

ROW = re.compile(r"^\| (A\d\d) \| ([^|]+) \|", re.MULTILINE)


def test_the_page_tells_of_each_attack_by_the_same_words() -> None:
    assert dict(ROW.findall(Path("docs/security.md").read_text())) == ATTACKS
