"""Training of the liver network that ships with hepacalc; no part of the package, see ``training/README.md``.

Arrays here are in *network order*, ``(x, y, z)`` with x growing to the patient's right, y to the front and z to the
head, as ``hepacalc.liver.embedded`` feeds the network.
"""
