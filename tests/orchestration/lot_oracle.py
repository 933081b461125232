"""What a single lot cost, is worth, pays and brings, in fractions rounded once; part of ``book_oracle``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

CARRIED = 5
ZERO = Decimal(0)
Row = dict[str, Any]


@dataclass
class Facts:
    """Sessions of the exchange beyond all expiries, published closes and actions, and valuations, oldest first."""

    sessions: Sequence[date]
    closes: Mapping[tuple[str, date], Decimal]
    actions: list[Row]
    valuations: list[Row]

    def recent(self, day: date) -> list[date]:
        """The session and the five before it, newest first."""
        place = self.sessions.index(day)
        return list(reversed(self.sessions[max(0, place - CARRIED) : place + 1]))

    def shares(self, symbol: str, since: date, until: date | None = None) -> Fraction:
        """What one share of ``since`` has become, by ``until`` or by all that is known."""
        factor = Fraction(1)
        for row in self.actions:
            between = row["ex_date"] > since and (until is None or row["ex_date"] <= until)
            if row["symbol"] == symbol and row["kind"] == "split" and between:
                factor *= Fraction(row["ratio_numerator"], row["ratio_denominator"])
        return factor


@dataclass
class Terms:
    """A lot in money: ``factor`` price units per unit of quantity, and ``expiry``, its row of ``option_expiries``."""

    position_id: int
    symbol: str
    kind: str
    quantity: Decimal
    factor: Fraction
    entry_date: date
    cost: Decimal
    exit_date: date | None
    proceeds: Decimal
    expiry: Row | None = None

    def value_at(self, facts: Facts, day: date) -> tuple[Row | None, str]:
        """Price and value of the lot, None without any, and its status."""
        if self.kind == "PRIVATE":
            known = [row["market_value"] for row in _of(facts, self) if row["valued_on"] <= day]
            return ({"market_value": known[-1], "price_used": None}, "priced") if known else (None, "unpriced")
        priced = [each for each in facts.recent(day) if (self.symbol, each) in facts.closes]
        if not priced:
            return None, "unpriced"
        price = facts.closes[self.symbol, priced[0]]
        units = Fraction(self.quantity) * (100 if self.kind == "OPTIONS" else 1) * self.factor
        return {"market_value": money(units * Fraction(price)), "price_used": price}, (
            "priced" if priced[0] == day else "stale"
        )

    def dividends(self, facts: Facts, since: date | None, day: date) -> Decimal:
        """What dividends in (since, day] bring."""
        if self.kind != "PUBLIC" or since is None:
            return ZERO
        total = ZERO
        for row in facts.actions:
            ex_date = row["ex_date"]
            entitled = self.entry_date < ex_date and (self.exit_date is None or self.exit_date >= ex_date)
            if row["symbol"] == self.symbol and row["kind"] == "dividend" and since < ex_date <= day and entitled:
                total += money(Fraction(self.quantity) * self.factor * Fraction(row["amount"]))
        return total


def money(amount: Fraction, digits: int = 8) -> Decimal:
    """Rounded half-even."""
    return Decimal(round(amount * 10**digits)).scaleb(-digits)


def terms_of(lot: Row, facts: Facts, *, last: date) -> Terms:
    """The lot as sessions up to ``last`` know it."""
    symbol, kind, entered, quantity = (lot[name] for name in ("symbol", "investment_class", "entry_date", "quantity"))
    units, size = lot["units_date"] or entered, Fraction(quantity) * (100 if kind == "OPTIONS" else 1)
    is_public = kind == "PUBLIC"
    # What the quantity was at the entry and was or would have been at the exit.
    at_entry = size / (facts.shares(symbol, entered, units) if is_public else 1)
    proceeds = ZERO
    if lot["exit_date"]:
        at_exit = at_entry * (facts.shares(symbol, entered, lot["exit_date"]) if is_public else 1)
        proceeds = money(at_exit * Fraction(lot["exit_price"]))
    terms = Terms(
        position_id=lot["position_id"],
        symbol=symbol,
        kind=kind,
        quantity=quantity,
        factor=facts.shares(symbol, units) if is_public else Fraction(1),
        entry_date=entered,
        cost=ZERO,
        exit_date=lot["exit_date"],
        proceeds=proceeds,
    )
    if lot["entry_price"] is not None:
        terms.cost = money(at_entry * Fraction(lot["entry_price"]))
    else:
        terms.cost = _of(facts, terms)[0]["market_value"]
    if kind == "OPTIONS":
        _settle(terms, facts, last)
    return terms


def _of(facts: Facts, lot: Terms) -> list[Row]:
    return [row for row in facts.valuations if row["position_id"] == lot.position_id]


def _settle(lot: Terms, facts: Facts, last: date) -> None:
    """End the lot at the intrinsic value when its time has come and its underlying has a close."""
    root, day, right, strike = (
        lot.symbol[:-15],
        lot.symbol[-15:-9],
        lot.symbol[-9],
        Fraction(int(lot.symbol[-8:]), 1000),
    )
    expiry = datetime.strptime(f"20{day}", "%Y%m%d").date()  # noqa: DTZ007
    session = max(each for each in facts.sessions if each <= expiry)
    is_open = lot.entry_date <= session and (lot.exit_date is None or lot.exit_date > session)
    close = facts.closes.get((root, session))
    if root[-1].isdigit() or session > last or not is_open or close is None:
        return
    share = money(facts.shares(root, lot.entry_date) * Fraction(close), 4)
    gain = Fraction(share) - strike if right == "C" else strike - Fraction(share)
    price = money(max(gain, Fraction(0)), 4)
    lot.exit_date, lot.proceeds = session, money(Fraction(lot.quantity) * 100 * Fraction(price))
    lot.expiry = {
        "session": session,
        "symbol": lot.symbol,
        "underlying": root,
        "underlying_price": share,
        "settlement_price": price,
    }
