/* SPDX-License-Identifier: MIT */
/*
 * Makes of a complete copy of a database one of its own, that may be served
 * in the other's place.  Runs in a command, on a file that nobody else uses;
 * never on the database of a server.
 */
#include <sodium.h>
#include <stdio.h>

#include "store_int.h"

/*
 * Clients that resume under the old epoch must learn that seqs may have been
 * given anew.  Receipts are of workers that are gone; a token may have been
 * redeemed since.  The last batch keeps the numbers and the time going.
 */
#define SEAL_SQL \
	"PRAGMA locking_mode = EXCLUSIVE;" \
	"PRAGMA journal_mode = DELETE;" \
	"PRAGMA synchronous = OFF;" \
	"BEGIN IMMEDIATE;" \
	"UPDATE state SET epoch = '%s';" \
	"DELETE FROM ws_token;" \
	"DELETE FROM batch WHERE n < (SELECT max(n) FROM batch);" \
	"UPDATE batch SET receipts = x'';" \
	"COMMIT;"

int
store_backup_seal(const char *path, char *err, size_t errsize)
{
	uint8_t random[16];
	char hex[33], text[sizeof(SEAL_SQL) + sizeof(hex)];
	sqlite3 *db = NULL;
	int rc;

	randombytes_buf(random, sizeof(random));
	(void)sodium_bin2hex(hex, sizeof(hex), random, sizeof(random));
	(void)snprintf(text, sizeof(text), SEAL_SQL, hex);
	rc = sqlite3_open_v2(path, &db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, text, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		(void)snprintf(err, errsize, "cannot seal the copy %s: %s",
		    path, db != NULL ? sqlite3_errmsg(db) : "no memory");
	if (sqlite3_close(db) != SQLITE_OK && rc == SQLITE_OK) {
		(void)snprintf(err, errsize, "cannot close the copy %s", path);
		rc = SQLITE_ERROR;
	}
	return rc == SQLITE_OK ? 0 : -1;
}
