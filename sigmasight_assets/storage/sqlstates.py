"""Which refusals of PostgreSQL pass by themselves, by SQLSTATE; what people are told of them is in ``engine``."""

# Connection trouble and transactions that were rolled back for the sake of others: deadlocks, serialization failures.
PASSING_CLASSES = frozenset({"08", "40"})
PASSING = frozenset(
    {
        "25P03",  # ended because it was idle in a transaction
        "53300",  # too many connections
        "55P03",  # lock not available
        "57014",  # canceled: statement timeout
        "57P01",  # the server stops
        "57P02",  # the server has crashed
        "57P03",  # the server starts
        "57P05",  # ended because it was idle
    }
)
# Of these the connection is gone, not just the statement refused.
LOST_CONNECTION = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03"})


def is_passing(sqlstate: str) -> bool:
    """Whether the same transaction may succeed a little later although nobody has done anything.

    A full disk, a missing permission, a wrong password or a row that a constraint refuses stay what they are.
    """
    return sqlstate[:2] in PASSING_CLASSES or sqlstate in PASSING


def is_lost_connection(sqlstate: str) -> bool:
    """Whether the server has ended the connection, or not let it come about."""
    return sqlstate[:2] == "08" or sqlstate in LOST_CONNECTION
