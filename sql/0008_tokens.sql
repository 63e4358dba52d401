-- SPDX-License-Identifier: MIT
-- Schema version 8: what builds between two versions had left out.  Steps 3
-- and 5 once were without the column ends_ms and the table inbox_acked, and
-- a database that was written then has no other way to come by them.

-- Tokens live for a minute: those that are there are given up.
DROP TABLE ws_token;
CREATE TABLE ws_token (
	hash		BLOB PRIMARY KEY,	-- BLAKE2b-256 of the token
	tenant		INTEGER NOT NULL,
	user		TEXT NOT NULL,
	api_key		INTEGER NOT NULL,	-- made by it; 0 = none
	jwt_n		INTEGER NOT NULL,	-- made under this key; 0 = none
	expires_ms	INTEGER NOT NULL,
	ends_ms		INTEGER NOT NULL	-- what it opens closes then; 0 = never
) WITHOUT ROWID;
CREATE INDEX ws_token_expires ON ws_token (expires_ms);
CREATE INDEX ws_token_tenant ON ws_token (tenant);

CREATE TABLE IF NOT EXISTS inbox_acked (
	notification	INTEGER NOT NULL,
	user		TEXT NOT NULL,
	PRIMARY KEY (notification, user)
) WITHOUT ROWID;
