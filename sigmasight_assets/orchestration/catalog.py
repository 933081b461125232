"""What the Dagster UI says of each asset before anything has run: description, owner, unit, table, documents.

The descriptions are in ``asset_facts``; here they become what Dagster is told.
"""

from collections.abc import Mapping
from typing import Any, TypedDict

import dagster as dg

from sigmasight_assets.orchestration.asset_facts import FACTS, AssetFacts
from sigmasight_assets.orchestration.table_schemas import table_name, table_schema

# Pages that help with every asset.
COMMON_DOCS = ("formulas/freshness", "runbook")
DOC_KEY = "docs: "
TABLE_KEY = "table: "


class Described(TypedDict):
    """Arguments of an asset's definition."""

    group_name: str
    description: str
    owners: list[str]
    kinds: set[str]
    tags: dict[str, str]
    metadata: Mapping[str, Any]


def described(asset: str, api_address: str) -> Described:
    """Arguments of the asset's definition: group, description, owners, kinds, tags and metadata.

    ``api_address`` is where the API serves the documents.
    """
    facts = FACTS[asset]
    return {
        "group_name": facts.group,
        "description": description(facts),
        "owners": [facts.owner],
        "kinds": set(facts.kinds),
        "tags": {"sigmasight/layer": facts.group.replace("_layer", ""), "sigmasight/runs": facts.runs},
        "metadata": definition_metadata(facts, api_address),
    }


def description(facts: AssetFacts) -> str:
    """Markdown: what it is, then a line for each question that an operator has."""
    lines = {
        "One row per": facts.per,
        "Made from": facts.made_from,
        "Stale when": facts.stale_when,
        "When it fails or is missing": facts.what_to_do,
    }
    return "\n".join([facts.what, "", *(f"- **{question}**: {answer}" for question, answer in lines.items())])


def definition_metadata(facts: AssetFacts, api_address: str) -> Mapping[str, Any]:
    """Units, pages of the documents, and the tables that are written; the first is the one that is the asset."""
    first, *others = facts.tables
    return {
        "units": facts.units,
        **{
            f"{DOC_KEY}{page.rpartition('/')[2]}": dg.MetadataValue.url(f"{api_address}/docs/{page}")
            for page in (*facts.docs, *COMMON_DOCS)
        },
        "dagster/table_name": table_name(first),
        "dagster/column_schema": table_schema(first),
        **{f"{TABLE_KEY}{table.name}": dg.MetadataValue.table_schema(table_schema(table)) for table in others},
    }
