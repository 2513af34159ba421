"""A place to work: ``hepacalc serve``. How its parts fit, for whoever builds on them.

Processes: one that answers HTTP (``app.py``, uvicorn), ``settings.workers`` workers (``worker.py``), and one that
lives for one job (``child.py``), in which alone anything from outside is parsed, under limits of memory and time.
Each may be killed at any instant.

::

    settings.py   what a site sets (server.toml); [node] and [cds] are passed on as they are
    database.py   open_database(settings); reading(engine), writing(engine) give connections; new_id(), now()
    tables.py     the tables (SQLAlchemy core): studies, instances, uploads, jobs, assessments, facts, decisions, ...
    files.py      Store(settings.data): where a study's files lie; write_whole(), commit_folder()
    receive.py    what comes in: receive(...) for a whole upload, receive_instance(...) for C-STORE
    jobs.py       the queue: enqueue(connection, Work(kind, key, ...)), claim, heartbeat, finish, set_aside
    work/         one module a kind of job: intake, assess, edit, facts, view; a new kind is a line in work.KINDS
    filing.py     studies in the database: file_study, add_instances, the words a search finds them by
    faults.py     what is refused here alone; the other SRV-nn, and every HTTP status, stand in hepacalc.errors

    app.py        make_app(site): one FastAPI app; a new router is a line in app.ROUTERS
    access.py     need("read", scope="dicomweb"): dependency of a route; own(who): what a user may see; note(): audit
    supervisor.py the process tree; a new process (a DICOM node) is a line in ROLES and in roles_of(settings)
    middleware.py headers, size limits, log line and count of every request; app.LARGE lists paths with large bodies
    web.py        pages by Jinja2, in the reader's language; phrases.py holds their words

    dimse.py      the DICOM node's process (guarded.py: its limits); dimse_client.py, archives.py: speaking to others
    outgoing.py   what is queued for others: kinds `send`, `priors` and `fetch` of work/
    dicomweb.py   QIDO-RS, WADO-RS; dicomweb_store.py STOW-RS; query.py finds, also for C-FIND; dicom_reading.py reads
    cds_hooks.py  CDS Hooks; cds_prefetch.py reads what a record system sends, cds_cards.py words the answer

What comes in is acknowledged once it is on disk and in the job table. ``intake`` files it: a row in ``studies``, one in
``instances`` for each object, the file at ``store.study(folder) / instances.path``; it then queues ``assess`` if the
images of the study are new. ``assess`` gives a row in ``assessments``, its files at ``store.study(folder) /
assessments.folder`` (as ``hepacalc assess`` writes them; ``zh/`` holds those in Chinese), its SEG, SR and KO as rows in
``instances`` with ``assessment_id`` set, and ``studies.assessment_id`` points to it.

A user sees the studies of his team only: filter by ``studies.team`` (administrators see all). A DICOM peer has a team.

Ids are random; patient names stand in ``studies`` and ``terms`` only and never in a log line (``logs.py``).
"""
