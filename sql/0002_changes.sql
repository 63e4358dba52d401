-- SPDX-License-Identifier: MIT
-- Schema version 2: rooms that change and go, and what is left of them.

-- The batch of the last PATCH that changed the room's name or metadata.
ALTER TABLE room ADD COLUMN changed_n INTEGER NOT NULL DEFAULT 0;

-- Rows that nobody can reach any more and that go in small pieces.  They are
-- hidden already: a deleted room has no row in room and room_head, a trimmed
-- one a higher first_seq.
CREATE TABLE sweep (
	room	INTEGER PRIMARY KEY,
	below	INTEGER			-- its messages with a lower seq;
					-- NULL = all, and its members
);
