"""``docs/threat-model.md``: every threat names tests that there are."""

import re

from tests.documents import DOCS, ROOT, tables

PAGE = (DOCS / "threat-model.md").read_text(encoding="utf-8")


def test_every_claim_names_tests_that_there_are() -> None:
    (threats,) = tables(PAGE)
    assert threats[0][-1] == "held by"
    for who, wants, _, held in threats[1:]:
        named = re.findall(r"`(tests/[\w/]+\.py)`", held)
        assert named, (who, wants)
        for name in named:
            assert "def test_" in (ROOT / name).read_text(encoding="utf-8"), name


def test_it_is_no_longer_than_can_be_read() -> None:
    assert len(PAGE.split()) < 900
