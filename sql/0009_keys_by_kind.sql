-- SPDX-License-Identifier: MIT
-- Schema version 9: what an erasure has found.  And what is sealed in tenant
-- is sealed under a key for each kind, which programs of version 8 do not
-- know: the writer seals it anew at its start (src/writer/store_secrets.c).

ALTER TABLE erasure ADD COLUMN messages INTEGER NOT NULL DEFAULT 0;
ALTER TABLE erasure ADD COLUMN memberships INTEGER NOT NULL DEFAULT 0;
ALTER TABLE erasure ADD COLUMN others INTEGER NOT NULL DEFAULT 0; -- rows
