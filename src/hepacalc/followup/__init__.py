"""Is it the same, has it grown, what is due: pure, as the rest of the core; no files, no clock."""
