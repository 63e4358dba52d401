-- SPDX-License-Identifier: MIT
-- Schema version 7: users who are being erased.

CREATE TABLE erasure (
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	tenant		INTEGER NOT NULL,
	user		TEXT NOT NULL,
	pseudonym	TEXT NOT NULL,		-- in rows that must stay
	room		INTEGER NOT NULL,	-- those before it are done,
	seq		INTEGER NOT NULL	-- and its seqs up to this
);
CREATE UNIQUE INDEX erasure_user ON erasure (tenant, user);
-- What waits for him, found without a look at all that waits.
CREATE INDEX delivery_recipient ON delivery (tenant, recipient);
