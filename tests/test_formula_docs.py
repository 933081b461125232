"""The pages of docs/formulas: their worked examples run, the index is complete and no published column is left out."""

import doctest
import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from sigmasight_assets.storage import ledger_tables, tables

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "formulas"
INDEX = FOLDER / "README.md"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path != INDEX)
TABLES = (
    tables.symbol_daily_metrics,
    tables.symbol_market_beta,
    tables.symbol_ir_beta,
    tables.symbol_ridge_factors,
    tables.symbol_spread_factors,
    ledger_tables.portfolio_snapshots,
)
SECTIONS = ("What it tells an owner", "Missing values", "Worked example", "Source")

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def links(page: Path) -> set[str]:
    """Files that the page links to."""
    return set(re.findall(r"\]\(([^)#:]+\.md)[^)]*\)", page.read_text(encoding="utf-8")))


@by_page
def test_the_worked_example_comes_out_as_written(page: Path) -> None:
    # A fence after the last line of output would count as output.
    text = re.sub(r"^```.*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    example = doctest.DocTestParser().get_doctest(text, {}, page.stem, str(page), 0)
    assert any(step.want for step in example.examples), f"{page.name} has no worked example"
    report: list[str] = []
    outcome = doctest.DocTestRunner().run(example, out=report.append)
    assert outcome.failed == 0, "".join(report)


@by_page
def test_the_page_has_its_sections(page: Path) -> None:
    headings = re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [section for section in SECTIONS if section not in headings] == []


def test_the_index_links_to_every_page() -> None:
    assert len(PAGES) >= 10
    assert [page.name for page in PAGES if page.name not in links(INDEX)] == []


@pytest.mark.parametrize("page", [INDEX, *PAGES], ids=lambda page: page.stem)
def test_links_lead_to_pages(page: Path) -> None:
    assert [name for name in sorted(links(page)) if not (page.parent / name).is_file()] == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_published_column_is_on_some_page(table: sa.Table) -> None:
    named = {name for page in PAGES for name in re.findall(r"`([a-z0-9_]+)`", page.read_text(encoding="utf-8"))}
    assert [column.name for column in table.columns if column.name not in named] == []
