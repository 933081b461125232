"""What our own records tell of a failed run."""

from datetime import date

from sigmasight_assets.market_data.protocol import Listing
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.failed_runs import FailedRunRecord, Offence, read_failed_run
from sigmasight_assets.storage.operations import Verdict, finish_batch, record_verdicts, start_batch
from sigmasight_assets.storage.universe import import_listings

MON, TUE = date(2025, 6, 2), date(2025, 6, 3)
CONTRACT = "HIFO240719C00100000"


def enter_run(database: Database, run_id: str, *verdicts: Verdict) -> None:
    """A run whose first step succeeded and whose second failed."""
    with database.begin() as connection:
        start_batch(connection, run_id=run_id, kind="symbol_universe", sessions=[MON])
        finish_batch(connection, run_id=run_id, kind="symbol_universe", counts={})
    with database.begin() as connection:
        start_batch(connection, run_id=run_id, kind="symbol_products", sessions=[MON, TUE])
        finish_batch(connection, run_id=run_id, kind="symbol_products", counts={}, error="not published")
        record_verdicts(connection, verdicts, layer="symbol", run_id=run_id)


def read(database: Database, run_id: str) -> FailedRunRecord:
    with database.begin() as connection:
        return read_failed_run(connection, run_id)


def test_a_run_is_told_with_its_sessions_errors_and_offenders(database: Database) -> None:
    with database.begin() as connection:
        tracked = [Listing(name, name, "equity", None, None) for name in ("BRK.B", "SPY", "TLT")]
        import_listings(connection, [*tracked, Listing(CONTRACT, CONTRACT, "option", None, None)])
    bars = Verdict("bars_valid", TUE, passed=False, detail=f"invalid: TLT, BRK.B, {CONTRACT}, TLT and NOBODY")
    funds = Verdict("factor_etfs_priced", MON, passed=False, detail="no bar of SPY")
    passed = Verdict("coverage", MON, passed=True, detail="SPY")
    noted = Verdict("market_beta_stable", MON, passed=False, detail="median move of SPY 0.2", is_blocking=False)
    enter_run(database, "night", bars, funds, funds, passed, noted)
    enter_run(database, "another", Verdict("coverage", MON, passed=False, detail="TLT"))
    assert read(database, "night") == FailedRunRecord(
        first_session=MON,
        last_session=TUE,
        errors={"symbol_products": "not published"},
        offences=[Offence(funds, ("SPY",)), Offence(bars, ("TLT", "BRK.B", CONTRACT))],
    )


def test_a_run_that_died_before_its_first_step_has_left_nothing(database: Database) -> None:
    assert read(database, "unknown") == FailedRunRecord(None, None, {}, [])
