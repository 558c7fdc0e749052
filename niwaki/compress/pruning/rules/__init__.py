"""What each torch function does to labels."""
