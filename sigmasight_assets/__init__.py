"""SigmaSight: nightly market data and risk figures as Dagster assets."""
