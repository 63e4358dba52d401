/* SPDX-License-Identifier: MIT */
/*
 * Brings the schema to what this binary knows, one step a transaction.  Runs
 * in the writer before anybody reads.  Never goes back, never touches a
 * newer or foreign database.
 */
#include "migrations.h"

#include <sodium.h>
#include <stdio.h>

#include "../common/log.h"
#include "store_int.h"

unsigned
store_schema_version(void)
{
	return migrations_count == 0 ? 0 :
				       migrations[migrations_count - 1].version;
}

static int
migrate_step(struct store *s, const struct migration *m)
{
	char set[64];

	(void)snprintf(set, sizeof(set), "PRAGMA user_version = %u",
	    m->version);
	if (sql_exec(s, "BEGIN IMMEDIATE") == -1)
		return -1;
	if (sql_exec(s, m->sql) == -1 || sql_exec(s, set) == -1 ||
	    sql_exec(s, "COMMIT") == -1) {
		int err = s->err;

		if (!sqlite3_get_autocommit(s->db))
			(void)sql_exec(s, "ROLLBACK");
		s->err = err;
		return -1;
	}
	log_info("schema migrated", "version=%u step=%s", m->version, m->name);
	return 0;
}

/* A new database gets its epoch: 16 random bytes. */
static int
migrate_epoch(struct store *s)
{
	uint8_t random[16];
	char hex[33], text[128];
	int64_t rows;

	/* Looked for first: on a full disk even an insert that changes
	 * nothing may fail. */
	if (sql_int(s, "SELECT count(*) FROM state", &rows) == -1)
		return -1;
	if (rows > 0)
		return 0;
	randombytes_buf(random, sizeof(random));
	(void)sodium_bin2hex(hex, sizeof(hex), random, sizeof(random));
	(void)snprintf(text, sizeof(text),
	    "INSERT INTO state (id, epoch) VALUES (1, '%s')", hex);
	return sql_exec(s, text);
}

int
store_migrate_look(struct store *s, char *err, size_t errsize)
{
	int64_t version, tables;

	if (sql_int(s, "PRAGMA user_version", &version) == -1 ||
	    sql_int(s, "SELECT count(*) FROM sqlite_master", &tables) == -1) {
		(void)snprintf(err, errsize, "cannot read database %s: %s",
		    s->path, sqlite3_errstr(s->err));
		return -1;
	}
	if (version < 0 || version > (int64_t)store_schema_version())
		(void)snprintf(err, errsize,
		    "database %s has schema version "
		    "%lld, this program knows only up to %u: use a newer "
		    "chatapi",
		    s->path, (long long)version, store_schema_version());
	else if (version == 0 && tables > 0)
		(void)snprintf(err, errsize,
		    "%s is a database of another "
		    "program",
		    s->path);
	else {
		s->schema = (unsigned)version;
		return 0;
	}
	/* Not even its log is brought into it. */
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
	    NULL);
	return -1;
}

int
store_migrate(struct store *s, char *err, size_t errsize)
{
	for (unsigned i = 0; i < migrations_count; i++) {
		if (migrations[i].version <= s->schema)
			continue;
		if (migrate_step(s, &migrations[i]) == -1) {
			(void)snprintf(err, errsize,
			    "migration %s of "
			    "database %s failed: %s",
			    migrations[i].name, s->path,
			    sqlite3_errstr(s->err));
			return -1;
		}
	}
	if (migrate_epoch(s) == -1) {
		(void)snprintf(err, errsize, "cannot write database %s: %s",
		    s->path, sqlite3_errstr(s->err));
		return -1;
	}
	return 0;
}
