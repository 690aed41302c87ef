"""What each objective trains and measures at one precision: one file, one kind of objective."""
