"""What was assessed and who is due: patients, exams, lesions and plans over time, in SQLite or PostgreSQL.

:class:`hepacalc.registry.store.Registry` writes, :mod:`hepacalc.registry.queries` and :mod:`hepacalc.registry.views`
read. Every change is an event at the end of a log that never changes; the tables follow from it.
"""
