"""Thousands of scans: found, assessed in processes of their own, kept in a ledger, told in tables.

``run.py`` is the walk: :mod:`find` what is there, give each study to an :mod:`executor`, write what came of it into the
:mod:`ledger`, at the end into :mod:`tables`. Nothing is imported here, so that a worker starts quickly.
"""
