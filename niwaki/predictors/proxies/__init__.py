"""Zero-cost proxies: what an untrained network and one batch say about how well it will do."""
