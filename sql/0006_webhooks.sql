-- SPDX-License-Identifier: MIT
-- Schema version 6: what goes to tenants' webhooks.

-- What has absent recipients that have not been found yet; a row is written
-- with its message, or with rows of an inbox.
CREATE TABLE outbox (
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	tenant		INTEGER NOT NULL,
	kind		INTEGER NOT NULL,	-- 1 message, 2 notification
	room		INTEGER NOT NULL,	-- 2: its id
	seq		INTEGER NOT NULL,	-- 2: last row of its inbox
	after_user	TEXT NOT NULL		-- members up to him are done;
						-- 2: rows up to this one
);
CREATE INDEX outbox_tenant ON outbox (tenant, id);

-- One message or notification for one absent user.
CREATE TABLE delivery (
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	token		TEXT NOT NULL UNIQUE,	-- public id without "dlv_"
	tenant		INTEGER NOT NULL,
	kind		INTEGER NOT NULL,	-- as above
	room		INTEGER NOT NULL,	-- 2: the notification's id
	seq		INTEGER NOT NULL,	-- 2: 0
	recipient	TEXT NOT NULL,
	state		INTEGER NOT NULL,	-- 0 pending, 1 dead letter
	decided		INTEGER NOT NULL,	-- 0: was in the presence grace,
						-- ask again at next_ms
	attempts	INTEGER NOT NULL,
	next_ms		INTEGER NOT NULL,
	last_ms		INTEGER,		-- of the last attempt
	error		TEXT			-- of the last attempt
);
CREATE INDEX delivery_due ON delivery (tenant, next_ms) WHERE state = 0;
CREATE INDEX delivery_dead ON delivery (tenant, id) WHERE state = 1;
CREATE INDEX delivery_dead_room ON delivery (room, seq)
    WHERE state = 1 AND kind = 1;
CREATE INDEX delivery_dead_note ON delivery (room, recipient)
    WHERE state = 1 AND kind = 2;

CREATE INDEX tenant_retention ON tenant (id)
    WHERE retention_days IS NOT NULL;
