"""Where offline rows take their events from: one file, one source."""
