"""What operators see and decide: the gate's planner, what is late or failed, audited decisions. No Dagster here."""
