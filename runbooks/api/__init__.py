"""What programs see: the JSON API, and runs as streams."""
