"""Super-networks: one network whose weights many smaller ones share."""
