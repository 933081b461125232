"""What is kept with each session: its own pictures first, then what is said of the whole run."""

from datetime import date

from sigmasight_assets.orchestration.materialized import materializations

MON, TUE = date(2025, 6, 2), date(2025, 6, 3)


def test_materializations_are_one_per_asset_and_session_with_metadata() -> None:
    metadata = {"a": {"rows": 1}, "b": {"rows": 2}}
    items = list(materializations(metadata, [MON, TUE], {"b": {TUE: {"picture": "![x](<data:>)"}}}))
    assert [item.metadata["rows"].value for item in items] == [1, 2, 1, 2]
    found = [(item.asset_key.to_user_string(), item.partition) for item in items]
    assert found == [("a", "2025-06-02"), ("b", "2025-06-02"), ("a", "2025-06-03"), ("b", "2025-06-03")]
    assert [list(item.metadata) for item in items] == [["rows"], ["rows"], ["rows"], ["picture", "rows"]]
