"""The code location as it is, but for the market, which is disturbed: a lost worker is missed when it would be."""

from tests.e2e.disturbed import disturbed_definitions

defs = disturbed_definitions()
