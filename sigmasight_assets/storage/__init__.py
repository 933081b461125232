"""PostgreSQL: tables, bulk transfer and one store per table family."""
