-- SPDX-License-Identifier: MIT
-- Schema version 5: notifications, and who is to have them.

-- The users whom a tenant knows: ever a member, connected or subscribed.
CREATE TABLE user (
	tenant		INTEGER NOT NULL,
	user		TEXT NOT NULL,
	PRIMARY KEY (tenant, user)
) WITHOUT ROWID;
INSERT INTO user (tenant, user) SELECT DISTINCT tenant, user FROM member;

CREATE TABLE subscription (
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	token		TEXT NOT NULL UNIQUE,	-- public id without "sub_"
	tenant		INTEGER NOT NULL,
	user		TEXT NOT NULL,
	topic		TEXT NOT NULL,
	created_ms	INTEGER NOT NULL
);
CREATE UNIQUE INDEX subscription_user ON subscription (tenant, user, topic);
CREATE INDEX subscription_topic ON subscription (tenant, topic, user);

-- Gone when neither inbox nor fanout names it.
CREATE TABLE notification (
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	token		TEXT NOT NULL UNIQUE,	-- public id without "ntf_"
	tenant		INTEGER NOT NULL,
	topic		TEXT NOT NULL,
	payload		TEXT NOT NULL,		-- JSON
	created_ms	INTEGER NOT NULL
);
CREATE INDEX notification_tenant ON notification (tenant);

-- A row is what one user has not acknowledged.  Its id rises in the order of
-- commits, over all tenants: a connection's cursor.
CREATE TABLE inbox (
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	tenant		INTEGER NOT NULL,
	user		TEXT NOT NULL,
	notification	INTEGER NOT NULL
);
CREATE UNIQUE INDEX inbox_notification ON inbox (notification, user);
CREATE INDEX inbox_user ON inbox (tenant, user, id);

-- Who has acknowledged one that has still to reach others: a list further on
-- may name him again.
CREATE TABLE inbox_acked (
	notification	INTEGER NOT NULL,
	user		TEXT NOT NULL,
	PRIMARY KEY (notification, user)
) WITHOUT ROWID;

-- Whom a notification has still to reach: goes in pieces.
CREATE TABLE fanout (
	tenant		INTEGER NOT NULL,
	notification	INTEGER NOT NULL,
	kind		INTEGER NOT NULL,	-- 1 the list, 2 members of
						-- room, 3 subscribers of its
						-- topic, 4 everybody known;
					-- 5 its inbox_acked goes
	room		INTEGER,
	list		BLOB,			-- what is left of it: u32
						-- length and bytes of each
	after		TEXT NOT NULL,		-- the user reached last
	PRIMARY KEY (tenant, notification, kind)
) WITHOUT ROWID;
