"""The tables, as the steps that make them. A step that was released is never changed; a new one follows it.

Plain SQL of SQLite 3.31 (no STRICT, RETURNING or unixepoch): some systems' Python has no newer one. Times are
whole seconds since 1970, identifiers are texts.
"""

_KEYS = """
CREATE TABLE organisations (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    is_default INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX one_default_organisation ON organisations (is_default) WHERE is_default = 1;
INSERT INTO organisations (id, name, is_default, created_at)
VALUES ('org_' || lower(hex(randomblob(8))), 'default', 1, CAST(strftime('%s', 'now') AS INTEGER));

CREATE TABLE keys (
    id TEXT NOT NULL PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    name TEXT NOT NULL,
    organisation_id TEXT NOT NULL REFERENCES organisations (id),
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER,
    revoked_at INTEGER
);

CREATE TABLE usage_counts (
    dialect TEXT NOT NULL,
    client TEXT NOT NULL,
    period_s INTEGER NOT NULL,
    began_at REAL NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (dialect, client, period_s)
);
"""
"""Number 1: organisations with their default one, keys (only hashes of them), counts of long rate limits."""

_JOBS = """
CREATE TABLE jobs (
    id TEXT NOT NULL PRIMARY KEY,
    organisation_id TEXT NOT NULL REFERENCES organisations (id),
    model TEXT NOT NULL,
    sampling TEXT NOT NULL,
    max_tokens INTEGER NOT NULL,
    state TEXT NOT NULL,
    error TEXT,
    created_at INTEGER NOT NULL,
    ended_at INTEGER
);
CREATE INDEX open_jobs ON jobs (created_at) WHERE ended_at IS NULL;
CREATE INDEX ended_jobs ON jobs (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE tasks (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    task_index INTEGER NOT NULL,
    conversation TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    result TEXT,
    error TEXT,
    PRIMARY KEY (job_id, task_index)
);
"""
"""Number 2: generation jobs and their tasks; what `puna.jobs.job` says of their states."""

_CONVERSATIONS = """
CREATE TABLE responses (
    id TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX responses_of_owners ON responses (owner, created_at);
CREATE INDEX responses_by_age ON responses (created_at);

CREATE TABLE conversation_items (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    owner TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX conversation_items_by_id ON conversation_items (id);

CREATE TABLE response_items (
    response_id TEXT NOT NULL REFERENCES responses (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    item INTEGER NOT NULL REFERENCES conversation_items (number),
    is_output INTEGER NOT NULL,
    PRIMARY KEY (response_id, position)
) WITHOUT ROWID;
CREATE INDEX response_items_by_item ON response_items (item);
"""
"""Number 3: stored answers, and the items of their conversations, which they share; see `puna.conversations`."""

_DOWNLOADS = """
CREATE TABLE downloads (
    id TEXT NOT NULL PRIMARY KEY,
    work TEXT NOT NULL,
    state TEXT NOT NULL,
    error TEXT,
    path TEXT,
    created_at INTEGER NOT NULL,
    ended_at INTEGER
);
"""
"""Number 4: downloads; `work` is the `DownloadOrder` as JSON. How far one is, the files on disk tell."""

_WEBHOOKS = """
CREATE TABLE webhooks (
    id TEXT NOT NULL PRIMARY KEY,
    organisation_id TEXT NOT NULL REFERENCES organisations (id),
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    secret TEXT NOT NULL,
    disabled_reason TEXT,
    paused_until REAL NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
);
CREATE INDEX webhooks_of_organisations ON webhooks (organisation_id);

CREATE TABLE webhook_events (
    id TEXT NOT NULL PRIMARY KEY,
    type TEXT NOT NULL,
    job_id TEXT NOT NULL,
    body BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (type, job_id)
);
CREATE INDEX webhook_events_by_age ON webhook_events (created_at);

CREATE TABLE deliveries (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    webhook_id TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event_id TEXT NOT NULL REFERENCES webhook_events (id),
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at REAL NOT NULL,
    failure TEXT,
    created_at INTEGER NOT NULL,
    ended_at INTEGER,
    UNIQUE (webhook_id, event_id)
);
CREATE INDEX open_deliveries ON deliveries (webhook_id, number) WHERE ended_at IS NULL;
CREATE INDEX ended_deliveries ON deliveries (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX deliveries_of_events ON deliveries (event_id);

CREATE TABLE delivery_attempts (
    delivery INTEGER NOT NULL REFERENCES deliveries (number) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    began_at REAL NOT NULL,
    duration_s REAL NOT NULL,
    status INTEGER,
    failure TEXT,
    PRIMARY KEY (delivery, number)
) WITHOUT ROWID;
"""
"""Number 5: webhooks, the events that they are told, each message to each of them, and the attempts to deliver it.

`webhooks.secret` is a receiver's secret as it is, since every signature needs it; the file has mode 0600.
"""

_FINETUNES = """
CREATE TABLE finetunes (
    id TEXT NOT NULL PRIMARY KEY,
    job TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
"""
"""Number 6: fine-tunings; `job` is the `FinetuneJob` as JSON. What one has learnt, its checkpoint tells."""

MIGRATIONS: tuple[str, ...] = (_KEYS, _JOBS, _CONVERSATIONS, _DOWNLOADS, _WEBHOOKS, _FINETUNES)
"""Scripts in their order; the database's `user_version` says how many of them it has seen.

Each runs inside a transaction of its own, so none begins or commits one.
"""
