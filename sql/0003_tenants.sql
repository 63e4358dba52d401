-- SPDX-License-Identifier: MIT
-- Schema version 3: what a tenant may have set, its end, and ws tokens.

-- Sealed = encrypted under the key file, see src/common/secret.h.
ALTER TABLE tenant ADD COLUMN webhook_url TEXT;
ALTER TABLE tenant ADD COLUMN webhook_secret BLOB;	-- sealed
ALTER TABLE tenant ADD COLUMN jwt_alg INTEGER NOT NULL DEFAULT 0;
					-- 0 none, 1 HS256, 2 EdDSA
ALTER TABLE tenant ADD COLUMN jwt_key BLOB;
					-- HS256: sealed; EdDSA: 32 raw bytes
ALTER TABLE tenant ADD COLUMN jwt_n INTEGER NOT NULL DEFAULT 0;
					-- batch that last changed the key
ALTER TABLE tenant ADD COLUMN retention_days INTEGER;	-- NULL = for ever
-- Not NULL: hidden from everybody, its rows go in pieces, it comes last.
ALTER TABLE tenant ADD COLUMN deleted_ms INTEGER;
CREATE INDEX tenant_deleted ON tenant (id) WHERE deleted_ms IS NOT NULL;

-- Each opens one WebSocket and is gone then, or when it expires.
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
