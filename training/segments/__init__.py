"""The network that reads Couinaud segments: it learns from digital livers alone."""
