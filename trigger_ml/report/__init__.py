"""One page and one JSON file about one run."""
