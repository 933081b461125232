"""What the UI says before anything has run: nothing without a description, an owner, a unit, a table, a document."""

import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.definitions.metadata import TableSchemaMetadataValue, UrlMetadataValue

from sigmasight_assets.definitions import build_definitions, defs
from sigmasight_assets.orchestration.asset_facts import FACTS
from sigmasight_assets.orchestration.catalog import DOC_KEY, TABLE_KEY
from sigmasight_assets.orchestration.check_facts import CHECK_FACTS
from sigmasight_assets.orchestration.launchpad import (
    OnboardingOptions,
    PortfolioProductsOptions,
    PortfolioSlicesOptions,
    SymbolProductsOptions,
)
from sigmasight_assets.orchestration.table_schemas import table_name, table_schema
from sigmasight_assets.storage import book_tables, tables

DOCS = Path(__file__).resolve().parents[2] / "docs"
SPECS = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
QUESTIONS = ("One row per", "Made from", "Stale when", "When it fails or is missing")
# Identifiers and codes measure nothing.
UNMEASURED = re.compile(r"(_id|_ids|generation|fingerprint|statuses)$")
UNITS = re.compile(r"\b(USD|dimensionless|shares|units|sessions|count)\b", re.IGNORECASE)


@pytest.mark.parametrize("asset", SPECS)
class TestEveryAsset:
    def test_says_what_an_operator_asks(self, asset: str) -> None:
        text = SPECS[asset].description or ""
        assert [question for question in QUESTIONS if f"**{question}**: " not in text] == []
        assert len(text.splitlines()[0]) > 60

    def test_has_a_group_an_owner_kinds_and_tags(self, asset: str) -> None:
        spec = SPECS[asset]
        assert spec.group_name in ("symbol_layer", "portfolio_layer", "onboarding")
        assert spec.owners
        assert all(owner.startswith("team:") for owner in spec.owners)
        assert "postgres" in spec.kinds
        assert {"sigmasight/layer", "sigmasight/runs"} <= spec.tags.keys()

    def test_states_its_units(self, asset: str) -> None:
        assert len(str(SPECS[asset].metadata["units"])) > 10

    def test_shows_its_table_as_it_is(self, asset: str) -> None:
        metadata, own = SPECS[asset].metadata, FACTS[asset].tables[0]
        assert metadata["dagster/table_name"] == f"public.{own.name}"
        assert _columns(metadata["dagster/column_schema"]) == [item.name for item in own.columns]
        others = {name for name in metadata if name.startswith(TABLE_KEY)}
        assert others == {TABLE_KEY + table.name for table in FACTS[asset].tables[1:]}

    def test_links_to_documents_that_exist(self, asset: str) -> None:
        pages = list(_pages(SPECS[asset]))
        assert len(pages) >= 3
        assert [page for page in pages if not (DOCS / f"{page}.md").is_file()] == []

    def test_every_number_in_its_tables_has_a_unit(self, asset: str) -> None:
        without = [
            f"{table.name}.{column.name}: {column.comment}"
            for table in FACTS[asset].tables
            for column in table.columns
            if _is_number(column) and not UNMEASURED.search(column.name) and not UNITS.search(column.comment or "")
        ]
        assert without == []


def _columns(value: object) -> list[str]:
    schema = value.value if isinstance(value, TableSchemaMetadataValue) else value
    assert isinstance(schema, dg.TableSchema)
    return [item.name for item in schema.columns]


def _pages(spec: dg.AssetSpec, address: str = "http://127.0.0.1:8000") -> Iterator[str]:
    """Paths under docs/ that the asset links to; whatever address its description names is one of them."""
    for name, value in spec.metadata.items():
        if name.startswith(DOC_KEY):
            assert isinstance(value, UrlMetadataValue)
            assert str(value.value).startswith(f"{address}/docs/")
            yield str(value.value).removeprefix(f"{address}/docs/")


def _is_number(column: sa.Column[object]) -> bool:
    kind = getattr(column.type, "item_type", column.type)
    return isinstance(kind, sa.Integer | sa.Numeric | sa.Double)


def test_every_asset_has_facts_and_all_facts_are_of_assets() -> None:
    assert set(FACTS) == set(SPECS)


def test_links_go_where_people_reach_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMASIGHT_API_URL", "https://risk.example.com/sigma/")
    for spec in build_definitions().resolve_all_asset_specs():
        assert len(list(_pages(spec, "https://risk.example.com/sigma"))) >= 3
    monkeypatch.delenv("SIGMASIGHT_API_URL")
    monkeypatch.setenv("SIGMASIGHT_API_PORT", "8123")
    (spec, *_) = build_definitions().resolve_all_asset_specs()
    assert list(_pages(spec, "http://127.0.0.1:8123"))


def test_every_check_says_what_it_asks_its_limit_and_what_to_do() -> None:
    found = {spec.name: spec for asset in defs.resolve_asset_graph().assets_defs for spec in asset.check_specs}
    assert set(found) == set(CHECK_FACTS)
    for name, spec in found.items():
        text = spec.description or ""
        assert "**Limit**: " in text, name
        assert "**When it fails**: " in text, name
        assert CHECK_FACTS[name].asks in text


def test_every_job_schedule_and_sensor_is_described_and_owned() -> None:
    repository = defs.get_repository_def()
    jobs = [item for item in repository.get_all_jobs() if not item.name.startswith("__")]
    assert len(jobs) == 4
    assert (len(repository.schedule_defs), len(repository.sensor_defs)) == (1, 5)
    everything: list[dg.JobDefinition | dg.ScheduleDefinition | dg.SensorDefinition] = [
        *jobs,
        *repository.schedule_defs,
        *repository.sensor_defs,
    ]
    for item in everything:
        assert len(item.description or "") > 60, item.name
        assert list(item.owners or ()) == ["team:operations"], item.name
        assert item.tags, item.name


@pytest.mark.parametrize(
    "options", [SymbolProductsOptions, PortfolioProductsOptions, PortfolioSlicesOptions, OnboardingOptions]
)
def test_every_option_of_the_launchpad_is_described_and_has_a_default(options: type[dg.Config]) -> None:
    assert options.__doc__
    assert options.model_fields
    for field in options.model_fields.values():
        assert len(field.description or "") > 60
        assert not field.is_required()


class TestTableSchema:
    def test_has_types_comments_and_constraints_of_the_table(self) -> None:
        columns = {item.name: item for item in table_schema(tables.symbol_prices_daily).columns}
        close, symbol = columns["close_price"], columns["symbol"]
        assert (close.type, close.constraints.nullable) == ("numeric(14, 4)", False)
        assert close.description == "Close, USD, split-adjusted, not dividend-adjusted"
        assert symbol.constraints.other == ["part of the primary key"]
        assert not symbol.constraints.unique
        constraints = table_schema(tables.symbol_prices_daily).constraints
        assert constraints is not None
        assert constraints.other == ["primary key (symbol, price_date)", "partitioned by RANGE (price_date)"]

    def test_knows_keys_of_one_column_references_and_nulls(self) -> None:
        columns = {item.name: item for item in table_schema(book_tables.portfolios).columns}
        assert columns["portfolio_id"].constraints.unique
        assert columns["portfolio_id"].constraints.other == ["primary key"]
        assert columns["public_id"].constraints.unique
        assert not columns["name"].constraints.unique
        assert columns["user_id"].constraints.other == ["references users.user_id"]
        assert columns["stale_from"].constraints.nullable
        constraints = table_schema(book_tables.portfolios).constraints
        assert constraints is not None
        assert constraints.other == ["unique (user_id, name)"]

    def test_lists_are_told_with_what_they_hold(self) -> None:
        columns = {item.name: item.type for item in table_schema(tables.factor_covariances).columns}
        assert columns["covariance"] == "double precision[]"

    def test_a_table_is_named_with_its_schema(self) -> None:
        assert table_name(tables.symbol_prices_daily) == "public.symbol_prices_daily"
        assert table_name(sa.Table("t", sa.MetaData(), schema="other")) == "other.t"
