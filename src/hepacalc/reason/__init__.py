"""From findings to a differential, its explanation and the next test. Pure: no files, no clock, no patient's name."""
