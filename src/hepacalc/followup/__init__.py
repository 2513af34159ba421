"""Is it the same, has it grown: two exams of one patient in, what became of each lesion out."""
