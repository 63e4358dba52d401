/* SPDX-License-Identifier: MIT */
/*
 * A user who is erased is taken out of the lists of notifications that are
 * still under way.  Runs in the writer, in a piece of the erasure.
 */
#include "../common/clock.h"
#include "store_int.h"

#define NAMES_MAX (1024 * 1024)

/* Copies all names but his.  -1 when the list cannot be read. */
static int
list_without(struct buf *out, struct str list, struct str user)
{
	struct wire_reader rd = { .p = (const uint8_t *)list.p,
		.end = (const uint8_t *)list.p + list.len };

	while (rd.p < rd.end) {
		struct str name;

		name.p = wire_get_str(&rd, &name.len);
		if (rd.bad)
			return -1;
		if (!str_same(name, user))
			wire_put_str(out, name.p, name.len);
	}
	return out->failed ? -1 : 0;
}

static int
list_put(struct store *s, uint64_t tenant, uint64_t notification,
    struct str list)
{
	sqlite3_stmt *st = sql_get(s, SQL_FANOUT_MOVE);

	if (st == NULL)
		return -1;
	sql_bind_u64(st, 1, tenant);
	sql_bind_u64(st, 2, notification);
	(void)sqlite3_bind_int(st, 3, FANOUT_USERS);
	/* Nobody reads it for this kind. */
	sql_bind_str(st, 4, (struct str){ "", 0 });
	(void)sqlite3_bind_blob(st, 5, list.len > 0 ? list.p : "",
	    (int)list.len, SQLITE_STATIC);
	return sql_step(s, st) == 0 ? 0 : -1;
}

int
store_fanout_erase(struct store *s, uint64_t tenant, struct str user,
    uint64_t until)
{
	uint64_t notification = 0;
	struct buf list;
	sqlite3_stmt *st;
	int rc;

	do {
		if ((st = sql_get(s, SQL_ERASE_FANOUT_LIST)) == NULL)
			return -1;
		sql_bind_u64(st, 1, tenant);
		sql_bind_u64(st, 2, notification);
		sql_bind_str(st, 3, user);
		if ((rc = sql_step(s, st)) != 1)
			return rc == 0 ? 1 : -1;
		notification = (uint64_t)sqlite3_column_int64(st, 0);
		buf_init(&list, NAMES_MAX);
		rc = list_without(&list, sql_column_str(st, 1), user);
		(void)sqlite3_reset(st);
		/* One that cannot be read is not for us to mend. */
		if (rc == 0)
			rc = list_put(s, tenant, notification,
			    (struct str){ buf_head(&list), list.len });
		else
			rc = 0;
		buf_free(&list);
		if (rc == -1)
			return -1;
	} while (clock_mono_ns() < until);
	return 0;
}
