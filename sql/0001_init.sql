-- SPDX-License-Identifier: MIT
-- Schema version 1.  Run by the writer in one transaction; page_size and
-- auto_vacuum are set before it.  Times are Unix milliseconds.

-- One row: what is true of the whole database.
CREATE TABLE state (
	id	INTEGER PRIMARY KEY CHECK (id = 1),
	epoch	TEXT NOT NULL		-- changes when a backup is restored
);

CREATE TABLE tenant (
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	public_id	TEXT NOT NULL UNIQUE,	-- without "tenant_"
	name		TEXT NOT NULL,
	created_ms	INTEGER NOT NULL,
	disabled	INTEGER NOT NULL DEFAULT 0,
	rate_limit	INTEGER			-- a second; NULL = default
);

CREATE TABLE api_key (
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	public_id	TEXT NOT NULL UNIQUE,	-- without "key_"
	tenant		INTEGER NOT NULL REFERENCES tenant (id),
	hash		BLOB NOT NULL UNIQUE,	-- BLAKE2b-256 of the key
	created_ms	INTEGER NOT NULL,
	last_used_ms	INTEGER,
	revoked_ms	INTEGER
);
CREATE INDEX api_key_tenant ON api_key (tenant, id);

-- What a room is; changes rarely and may be large.
CREATE TABLE room (
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	tenant		INTEGER NOT NULL REFERENCES tenant (id),
	token		TEXT NOT NULL UNIQUE,	-- public id without "room_"
	type		INTEGER NOT NULL,	-- 1 dm, 2 group, 3 channel
	name		TEXT,
	metadata	TEXT,			-- JSON
	dm_key		TEXT,			-- dm only: both users
	created_ms	INTEGER NOT NULL
);
CREATE INDEX room_tenant ON room (tenant, id);
CREATE UNIQUE INDEX room_dm ON room (tenant, dm_key)
    WHERE dm_key IS NOT NULL;

-- Where a room stands; changes with every batch, so rows are tiny.
CREATE TABLE room_head (
	room		INTEGER PRIMARY KEY,
	last_seq	INTEGER NOT NULL,
	first_seq	INTEGER NOT NULL,	-- 1 until retention trims
	rev		INTEGER NOT NULL,	-- edits and deletes so far
	activity	INTEGER NOT NULL,	-- global, rises with messages
	members		INTEGER NOT NULL	-- how many there are
);

CREATE TABLE member (
	room		INTEGER NOT NULL,
	user		TEXT NOT NULL,
	tenant		INTEGER NOT NULL,
	role		INTEGER NOT NULL,	-- 0 member, 1 admin
	joined_ms	INTEGER NOT NULL,
	last_ack	INTEGER NOT NULL,
	PRIMARY KEY (room, user)
) WITHOUT ROWID;
CREATE INDEX member_user ON member (tenant, user, room);

-- The log.  A page of history is one run of this b-tree.
CREATE TABLE message (
	room		INTEGER NOT NULL,
	seq		INTEGER NOT NULL,
	sender		TEXT NOT NULL,
	content		TEXT,			-- NULL in a tombstone
	meta		TEXT,			-- JSON
	created_ms	INTEGER NOT NULL,
	client_msg_id	TEXT,
	hash		BLOB,			-- of the original, with the
						-- client_msg_id only
	rev		INTEGER NOT NULL DEFAULT 0,
	edited_ms	INTEGER,
	deleted_ms	INTEGER,
	PRIMARY KEY (room, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX message_client ON message (room, sender, client_msg_id)
    WHERE client_msg_id IS NOT NULL;
CREATE INDEX message_rev ON message (room, rev) WHERE rev > 0;

-- One row a commit; all but the last go once their answers have arrived.
CREATE TABLE batch (
	n		INTEGER PRIMARY KEY,
	ms		INTEGER NOT NULL,	-- never goes back
	receipts	BLOB NOT NULL		-- see writer/receipts.h
);
