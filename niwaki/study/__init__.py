"""Studies: the loop, its executors and its ledger."""
