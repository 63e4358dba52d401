/* SPDX-License-Identifier: MIT */
/*
 * Records between processes: no bytes may lead a reader out of its memory,
 * and what a reader took must be written as it was read.
 *
 * Input: one byte of type, then a record's payload.  The same bytes are also
 * looked at as a stream of whole records.
 */
#include "fuzz.h"

#include <string.h>

#include "../unit/records_copy.h"
#include "common/buf.h"
#include "common/records.h"

#define COPY_MAX (4 * WIRE_RECORD_MAX)

/* Booleans of the configuration are read more freely than written: there the
 * second copy must be the first. */
static void
check_record(const struct wire_record *w)
{
	struct wire_record first, second;
	struct op_head head;
	struct buf a, b;
	int rc;

	(void)rec_op_head_get(w, &head);
	buf_init(&a, COPY_MAX);
	buf_init(&b, COPY_MAX);
	rc = records_copy(&a, w);
	FUZZ_CHECK(rc == 0 || (rc == -1 && a.len == 0));
	FUZZ_CHECK(!a.failed);
	if (rc == 0) {
		FUZZ_CHECK(wire_next((uint8_t *)buf_head(&a), a.len, &first) ==
		    (long)a.len);
		FUZZ_CHECK(first.type == w->type && first.len == w->len);
		if (w->type != REC_CONFIG && w->len > 0)
			FUZZ_CHECK(memcmp(first.payload, w->payload, w->len) ==
			    0);
		FUZZ_CHECK(records_copy(&b, &first) == 0);
		FUZZ_CHECK(wire_next((uint8_t *)buf_head(&b), b.len, &second) ==
		    (long)a.len);
		FUZZ_CHECK(memcmp(first.whole, second.whole, a.len) == 0);
	}
	buf_free(&a);
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_record w = { 0 };
	size_t at = 0;
	long used;

	if (size > 0) {
		w.type = data[0];
		w.payload = data + 1;
		w.len = size - 1;
		check_record(&w);
	}
	while ((used = wire_next(data + at, size - at, &w)) > 0) {
		FUZZ_CHECK((size_t)used <= size - at);
		FUZZ_CHECK(w.whole == data + at);
		FUZZ_CHECK(w.whole_len == (size_t)used);
		check_record(&w);
		at += (size_t)used;
	}
	return 0;
}
