"""Calcified foci: detect, tell from mimics, measure, classify, group. Arrays and numbers in, records out."""
