"""How soon the API gives up a connection to a database whose host has vanished: in seconds, not in the hours of TCP.

A process that waits for a lost connection would miss what is published long after the host is back.
"""

import sqlalchemy as sa

# libpq's names; seconds, counts, and milliseconds for what was sent and not acknowledged.
TIMES = {
    "keepalives_idle": "10",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}


def watched(url: str) -> str:
    """The URL with these times, but for those that it names itself."""
    parts = sa.make_url(url)
    own = {name: value for name, value in TIMES.items() if name not in parts.query}
    return parts.update_query_dict(own).render_as_string(hide_password=False)
