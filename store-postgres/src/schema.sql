-- What codex-store-postgres keeps, version 1. There is nothing here that would put a row into a
-- message of the server: no constraint but the keys.
CREATE SCHEMA codex_accounts;

-- One row, the version of this schema.
CREATE TABLE codex_accounts.schema (version integer NOT NULL);
INSERT INTO codex_accounts.schema VALUES (1);

-- The document of each store, and the version of it.
CREATE TABLE codex_accounts.document (
    store text PRIMARY KEY,
    version text NOT NULL,
    document bytea NOT NULL
);

-- What belongs to a store and is no part of its document: the journals of refreshes.
CREATE TABLE codex_accounts.scratch (
    store text NOT NULL,
    name text NOT NULL,
    text bytea NOT NULL,
    PRIMARY KEY (store, name)
);
