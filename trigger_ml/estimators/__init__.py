"""What a graph costs, each number with its source."""
