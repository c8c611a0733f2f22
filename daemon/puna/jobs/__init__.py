"""Generation jobs: an organisation's batches of conversations, on disk before they are accepted.

    backlog, pacing, turn, admission      decide; pure
    journal                               remembers; SQL on `puna.store.database`
    execution                             runs one task on a leased model
    service                               owns it all: one task on the event loop

A task that a killed daemon had in flight runs again after the next start; one whose end is on disk never does.
"""
