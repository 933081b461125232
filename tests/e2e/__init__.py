"""Whole nights with the real code server, webserver, daemon and PostgreSQL (marker ``e2e``, ``make e2e``)."""
