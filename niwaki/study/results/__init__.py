"""What a study found, read back from its folder: the run, its front, how that has grown."""
