"""hepacalc finds, tells from mimics and measures calcification in the liver on CT."""
