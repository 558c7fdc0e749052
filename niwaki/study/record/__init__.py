"""What is written down of a study: its folder, its ledger, and the state that they tell."""
