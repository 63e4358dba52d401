/* SPDX-License-Identifier: MIT */
/* Every record between processes: what is put is what is got; cut short, with
 * bytes left over or under another type it is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/records.h"
#include "records_copy.h"
#include "records_sample.h"

#define KINDS 66

static struct buf buf;

static int
setup(void **state)
{
	(void)state;
	buf_init(&buf, 4 * WIRE_RECORD_MAX);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	buf_free(&buf);
	return 0;
}

/* The only record in the buffer. */
static struct wire_record
only(void)
{
	struct wire_record w;

	assert_true(buf.len > 0);
	assert_int_equal(wire_next((uint8_t *)buf_head(&buf), buf.len, &w),
	    buf.len);
	return w;
}

static void
assert_str(struct str a, struct str b)
{
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.p, b.p, a.len);
}

static void
assert_head(const struct op_head *h)
{
	struct wire_record w = only();
	struct op_head direct;

	assert_int_equal(h->op, 1001);
	assert_int_equal(h->low, 1000);
	assert_int_equal(h->deadline_ms, 1002);
	/* The way of who does not know the rest. */
	assert_int_equal(rec_op_head_get(&w, &direct), 0);
	assert_memory_equal(&direct, h, sizeof(direct));
}

#define SAME(field) assert_true(r.field == want->field)
#define SAME_STR(field) assert_str(r.field, want->field)

static void
test_bus_fields(void **state)
{
	struct wire_record w;
	uint64_t v;

	(void)state;
	{
		const struct rec_hello *want = &sample_hello;
		struct rec_hello r;

		assert_int_equal(rec_hello_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_hello_get(&w, &r), 0);
		SAME(role), SAME(slot), SAME(pid), SAME(page_layout);
		SAME(schema), SAME_STR(build);
		buf_clear(&buf);
	}
	{
		const struct rec_peer *want = &sample_peer;
		struct rec_peer r;

		assert_int_equal(rec_peer_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_peer_get(&w, &r), 0);
		SAME(role), SAME(slot), SAME(incarnation);
		buf_clear(&buf);
	}
	{
		const struct rec_attach *want = &sample_attach;
		struct rec_attach r;

		assert_int_equal(rec_attach_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_attach_get(&w, &r), 0);
		SAME(conn), SAME(tenant), SAME_STR(user);
		assert_int_equal(rec_detach_get(&w, &r), -1);
		buf_clear(&buf);
	}
	{
		const struct rec_attached *want = &sample_attached;
		struct rec_attached r;

		assert_int_equal(rec_attached_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_attached_get(&w, &r), 0);
		SAME(conn), SAME(granted);
		buf_clear(&buf);
	}
	{
		const struct rec_presence *want = &sample_presence;
		struct rec_presence r;

		assert_int_equal(rec_presence_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_presence_get(&w, &r), 0);
		SAME(tenant), SAME(online), SAME_STR(user);
		buf_clear(&buf);
	}
	assert_int_equal(rec_drain_put(&buf, 12345), 0);
	w = only();
	assert_int_equal(rec_drain_get(&w, &v), 0);
	assert_int_equal(v, 12345);
	assert_int_equal(rec_interest_ok_get(&w, &v), -1);
	buf_clear(&buf);
	assert_int_equal(rec_interest_ok_put(&buf, 54321), 0);
	w = only();
	assert_int_equal(rec_interest_ok_get(&w, &v), 0);
	assert_int_equal(v, 54321);
}

static void
test_interest_fields(void **state)
{
	struct wire_record w;
	struct rec_interest r;

	(void)state;
	assert_int_equal(rec_interest_put(&buf, &sample_interest), 0);
	w = only();
	assert_int_equal(rec_interest_get(&w, &r), 0);
	assert_int_equal(r.serial, 8);
	assert_int_equal(r.nadd, 2);
	assert_int_equal(r.ndel, 1);
	for (uint32_t i = 0; i < 3; i++)
		assert_true(rec_interest_key(&r, i) == sample_keys[i]);
}

static void
test_publish_fields(void **state)
{
	const struct rec_event_message *want = &sample_message;
	struct rec_event_message r;
	struct rec_publish p;
	struct wire_record w;
	size_t at;

	(void)state;
	at = rec_publish_begin(&buf, sample_keys, 3);
	assert_int_equal(rec_event_message_put(&buf, want), 0);
	assert_int_equal(rec_publish_end(&buf, at), 0);
	w = only();
	assert_int_equal(rec_publish_get(&w, &p), 0);
	assert_int_equal(p.nkeys, 3);
	for (uint16_t i = 0; i < 3; i++)
		assert_true(rec_publish_key(&p, i) == sample_keys[i]);
	assert_int_equal(p.inner.type, REC_EVENT_MESSAGE);
	assert_int_equal(rec_event_message_get(&p.inner, &r), 0);
	SAME(n), SAME(tenant), SAME(room), SAME(seq);
	SAME_STR(sender), SAME_STR(client_msg_id), SAME_STR(text);
	/* What is forwarded is the whole of it. */
	buf_clear(&buf);
	at = rec_publish_begin(&buf, NULL, 0);
	assert_int_equal(rec_event_tenant_put(&buf, &sample_tenant), 0);
	assert_int_equal(rec_publish_end(&buf, at), 0);
	w = only();
	assert_int_equal(rec_publish_get(&w, &p), 0);
	assert_int_equal(p.nkeys, 0);
	assert_ptr_equal(p.inner.whole + p.inner.whole_len,
	    w.whole + w.whole_len);
}

static void
test_event_fields(void **state)
{
	struct wire_record w;

	(void)state;
	{
		const struct rec_event_acked *want = &sample_acked;
		struct rec_event_acked r;

		assert_int_equal(rec_event_acked_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_event_acked_get(&w, &r), 0);
		SAME(n), SAME(tenant), SAME(room), SAME(seq);
		SAME(incarnation), SAME(conn), SAME_STR(user);
		buf_clear(&buf);
	}
	{
		const struct rec_event_typing *want = &sample_typing;
		struct rec_event_typing r;

		assert_int_equal(rec_event_typing_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_event_typing_get(&w, &r), 0);
		SAME(tenant), SAME(room), SAME(start), SAME_STR(user);
		buf_clear(&buf);
	}
	{
		const struct rec_event_tenant *want = &sample_tenant;
		struct rec_event_tenant r;

		assert_int_equal(rec_event_tenant_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_event_tenant_get(&w, &r), 0);
		SAME(n), SAME(tenant);
	}
}

static void
test_event_change_fields(void **state)
{
	struct wire_record w;

	(void)state;
	{
		const struct rec_event_change *want = &sample_event_change;
		struct rec_event_change r;

		assert_int_equal(rec_event_change_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_event_change_get(&w, &r), 0);
		SAME(n), SAME(tenant), SAME(room), SAME(seq), SAME(rev);
		SAME_STR(text);
		buf_clear(&buf);
	}
	for (int i = 0; i < 2; i++) {
		const struct rec_event_room *want = &sample_event_room;
		enum record_type type = i == 0 ? REC_EVENT_ROOM_UPDATED :
						 REC_EVENT_ROOM_DELETED;
		struct rec_event_room r;

		assert_int_equal(rec_event_room_put(&buf, type, want), 0);
		w = only();
		assert_int_equal(w.type, type);
		assert_int_equal(rec_event_room_get(&w, &r), 0);
		SAME(n), SAME(tenant), SAME(room), SAME_STR(text);
		buf_clear(&buf);
	}
}

static void
test_event_members_fields(void **state)
{
	const struct rec_event_members *want = &sample_members;
	struct rec_event_members r;
	struct wire_record w;
	struct str user;
	size_t at = 0;

	(void)state;
	assert_int_equal(rec_event_members_put(&buf, REC_EVENT_LEFT, want), 0);
	w = only();
	assert_int_equal(w.type, REC_EVENT_LEFT);
	assert_int_equal(rec_event_members_get(&w, &r), 0);
	SAME(n), SAME(tenant), SAME(room), SAME(head), SAME(nusers);
	SAME(members);
	assert_string_equal(r.token, SAMPLE_TOKEN);
	for (int i = 0; i < 3; i++) {
		assert_true(rec_event_members_next(&r, &at, &user));
		assert_str(user, sample_users[i]);
	}
	assert_false(rec_event_members_next(&r, &at, &user));
	assert_false(rec_event_members_next(&r, &at, &user));
}

static void
test_message_op_fields(void **state)
{
	struct wire_record w;

	(void)state;
	{
		const struct rec_op_send *want = &sample_send;
		struct rec_op_send r;

		assert_int_equal(rec_op_send_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_op_send_get(&w, &r), 0);
		assert_head(&r.h);
		assert_int_equal(r.h.tenant, 1003);
		SAME_STR(room), SAME_STR(sender), SAME_STR(client_msg_id);
		SAME_STR(content), SAME_STR(meta);
		assert_memory_equal(r.hash, want->hash, sizeof(r.hash));
		buf_clear(&buf);
	}
	{
		const struct rec_op_ack *want = &sample_ack;
		struct rec_op_ack r;

		assert_int_equal(rec_op_ack_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_op_ack_get(&w, &r), 0);
		assert_head(&r.h);
		SAME(conn), SAME(seq), SAME_STR(room), SAME_STR(user);
		buf_clear(&buf);
	}
	{
		const struct rec_reply *want = &sample_reply;
		struct rec_reply r;

		assert_int_equal(rec_reply_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_reply_get(&w, &r), 0);
		SAME(op), SAME(outcome), SAME(room), SAME(seq), SAME(ms);
		SAME_STR(text);
	}
}

static void
test_room_op_fields(void **state)
{
	struct wire_record w;
	struct str user;
	size_t at = 0;

	(void)state;
	{
		const struct rec_op_room_create *want = &sample_room;
		struct rec_op_room_create r;

		assert_int_equal(rec_op_room_create_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_op_room_create_get(&w, &r), 0);
		assert_head(&r.h);
		SAME(type), SAME(has_name), SAME(nusers);
		SAME_STR(creator), SAME_STR(name), SAME_STR(metadata);
		for (int i = 0; i < 3; i++) {
			assert_true(rec_op_room_create_next(&r, &at, &user));
			assert_str(user, sample_users[i]);
		}
		assert_false(rec_op_room_create_next(&r, &at, &user));
		buf_clear(&buf);
	}
	{
		const struct rec_op_members_add *want = &sample_add;
		struct rec_op_members_add r;

		assert_int_equal(rec_op_members_add_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_op_members_add_get(&w, &r), 0);
		assert_head(&r.h);
		SAME(role), SAME(nusers), SAME_STR(room), SAME_STR(actor);
		at = 0;
		for (int i = 0; i < 3; i++) {
			assert_true(rec_op_members_add_next(&r, &at, &user));
			assert_str(user, sample_users[i]);
		}
		assert_false(rec_op_members_add_next(&r, &at, &user));
		buf_clear(&buf);
	}
	{
		const struct rec_op_member_remove *want = &sample_remove;
		struct rec_op_member_remove r;

		assert_int_equal(rec_op_member_remove_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_op_member_remove_get(&w, &r), 0);
		assert_head(&r.h);
		SAME_STR(room), SAME_STR(actor), SAME_STR(user);
	}
}

static void
test_change_op_fields(void **state)
{
	struct wire_record w;

	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct rec_op_change *want = i == 0 ? &sample_edit :
							    &sample_delete;
		enum record_type type = i == 0 ? REC_OP_MESSAGE_EDIT :
						 REC_OP_MESSAGE_DELETE;
		struct rec_op_change r;

		assert_int_equal(rec_op_change_put(&buf, type, want), 0);
		w = only();
		assert_int_equal(w.type, type);
		assert_int_equal(rec_op_change_get(&w, &r), 0);
		assert_head(&r.h);
		SAME(seq), SAME(created_ms);
		SAME_STR(room), SAME_STR(actor), SAME_STR(content);
		buf_clear(&buf);
	}
}

static void
test_room_change_op_fields(void **state)
{
	struct wire_record w;

	(void)state;
	{
		const struct rec_op_room_update *want = &sample_update;
		struct rec_op_room_update r;

		assert_int_equal(rec_op_room_update_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_op_room_update_get(&w, &r), 0);
		assert_head(&r.h);
		SAME(has_name), SAME(has_metadata);
		SAME_STR(room), SAME_STR(actor), SAME_STR(name);
		SAME_STR(metadata);
		buf_clear(&buf);
	}
	{
		const struct rec_op_room_delete *want = &sample_room_delete;
		struct rec_op_room_delete r;

		assert_int_equal(rec_op_room_delete_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_op_room_delete_get(&w, &r), 0);
		assert_head(&r.h);
		SAME_STR(room), SAME_STR(actor);
		buf_clear(&buf);
	}
	{
		const struct rec_op_room_trim *want = &sample_trim;
		struct rec_op_room_trim r;

		assert_int_equal(rec_op_room_trim_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_op_room_trim_get(&w, &r), 0);
		assert_head(&r.h);
		SAME(first_seq), SAME_STR(room);
	}
}

static void
test_courier_fields(void **state)
{
	struct wire_record w;
	struct str user;
	uint32_t wait_ms, n = 0;
	size_t at = 0;

	(void)state;
	{
		const struct rec_op_outbox_step *want = &sample_step;
		struct rec_op_outbox_step r;

		assert_int_equal(rec_op_outbox_step_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_op_outbox_step_get(&w, &r), 0);
		assert_head(&r.h);
		SAME(outbox), SAME_STR(after), SAME_STR(next), SAME(nusers);
		while (rec_op_outbox_step_next(&r, &at, &user, &wait_ms)) {
			assert_int_equal(wait_ms, want->wait_ms[n]);
			assert_int_equal(user.len, want->list[n].len);
			assert_memory_equal(user.p, want->list[n++].p,
			    user.len);
		}
		assert_int_equal(n, 3);
		buf_clear(&buf);
	}
	{
		const struct rec_op_delivery_result *want = &sample_result;
		struct rec_op_delivery_result r;

		assert_int_equal(rec_op_delivery_result_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_op_delivery_result_get(&w, &r), 0);
		assert_head(&r.h);
		SAME(delivery), SAME(attempts), SAME(result), SAME(next_ms);
		SAME(tried_ms), SAME_STR(error);
		buf_clear(&buf);
	}
	{
		const struct rec_absence_ok *want = &sample_absence_ok;
		struct rec_absence_ok r;

		assert_int_equal(rec_absence_ok_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_absence_ok_get(&w, &r), 0);
		SAME(serial), SAME(n);
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(rec_absence_state(&r, i),
			    want->list[i]);
	}
}

static void
test_admin_op_fields(void **state)
{
	struct wire_record w;

	(void)state;
	{
		const struct rec_op_tenant_create *want = &sample_new_tenant;
		struct rec_op_tenant_create r;

		assert_int_equal(rec_op_tenant_create_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_op_tenant_create_get(&w, &r), 0);
		assert_head(&r.h);
		SAME_STR(name);
		assert_memory_equal(r.key_hash, want->key_hash,
		    sizeof(r.key_hash));
		buf_clear(&buf);
	}
	{
		const struct rec_op_admin *want = &sample_admin;
		struct rec_op_admin r;

		assert_int_equal(rec_op_admin_put(&buf, REC_OP_KEY_REVOKE,
				     want),
		    0);
		w = only();
		assert_int_equal(w.type, REC_OP_KEY_REVOKE);
		assert_int_equal(rec_op_admin_get(&w, &r), 0);
		assert_head(&r.h);
		SAME_STR(a), SAME_STR(b);
		assert_memory_equal(r.key_hash, want->key_hash,
		    sizeof(r.key_hash));
		buf_clear(&buf);
	}
	{
		const struct rec_op_key_used *want = &sample_key_used;
		struct rec_op_key_used r;

		assert_int_equal(rec_op_key_used_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_op_key_used_get(&w, &r), 0);
		assert_head(&r.h);
		SAME(key), SAME(unix_ms);
		buf_clear(&buf);
	}
	{
		const struct rec_op_tenant_update *want = &sample_tenant_update;
		struct rec_op_tenant_update r;

		assert_int_equal(rec_op_tenant_update_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_op_tenant_update_get(&w, &r), 0);
		assert_head(&r.h);
		SAME(has), SAME_STR(tenant), SAME_STR(name), SAME(disabled);
		SAME(has_rate_limit), SAME(rate_limit), SAME_STR(webhook_url);
		SAME_STR(webhook_secret), SAME_STR(new_secret);
		SAME_STR(jwt_secret), SAME_STR(jwt_public_key);
		SAME(retention_days);
		buf_clear(&buf);
	}
	{
		const struct rec_op_ws_token_issue *want = &sample_issue;
		struct rec_op_ws_token_issue r;

		assert_int_equal(rec_op_ws_token_issue_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_op_ws_token_issue_get(&w, &r), 0);
		assert_head(&r.h);
		SAME_STR(user), SAME(key), SAME(jwt_n), SAME(ends_ms);
		assert_memory_equal(r.hash, want->hash, sizeof(r.hash));
		buf_clear(&buf);
	}
	{
		const struct rec_op_ws_token_redeem *want = &sample_redeem;
		struct rec_op_ws_token_redeem r;

		assert_int_equal(rec_op_ws_token_redeem_put(&buf, want), 0);
		w = only();
		assert_int_equal(rec_op_ws_token_redeem_get(&w, &r), 0);
		assert_head(&r.h);
		assert_memory_equal(r.hash, want->hash, sizeof(r.hash));
	}
}

/* Calls with each sample record; returns how many there were. */
static size_t
each_sample(void (*with)(const struct wire_record *))
{
	struct wire_record w;
	size_t n = 0;
	long used;

	assert_int_equal(records_sample(&buf), KINDS);
	while (buf.len > 0) {
		used = wire_next((uint8_t *)buf_head(&buf), buf.len, &w);
		assert_true(used > 0);
		with(&w);
		buf_drain(&buf, (size_t)used);
		n++;
	}
	return n;
}

static void
copied_as_it_is(const struct wire_record *w)
{
	struct buf copy;

	buf_init(&copy, WIRE_RECORD_MAX);
	assert_int_equal(records_copy(&copy, w), 0);
	assert_int_equal(copy.len, w->whole_len);
	assert_memory_equal(buf_head(&copy), w->whole, copy.len);
	buf_free(&copy);
}

static void
test_each_copies(void **state)
{
	(void)state;
	assert_int_equal(each_sample(copied_as_it_is), KINDS);
}

/* The payload in memory of exactly its length, so that a look beyond it is
 * noticed. */
static int
copy_payload(uint8_t type, const void *payload, size_t have, size_t len)
{
	uint8_t *exact = calloc(1, len == 0 ? 1 : len);
	struct wire_record w = { .type = type,
		.payload = exact,
		.len = len,
		.whole = exact,
		.whole_len = len };
	struct buf copy;
	int rc;

	memcpy(exact, payload, have < len ? have : len);
	buf_init(&copy, WIRE_RECORD_MAX);
	rc = records_copy(&copy, &w);
	if (rc != 0)
		assert_int_equal(copy.len, 0);
	buf_free(&copy);
	free(exact);
	return rc;
}

static void
refused_unless_whole(const struct wire_record *w)
{
	for (size_t len = 0; len < w->len; len++)
		assert_int_equal(copy_payload(w->type, w->payload, w->len, len),
		    -1);
	for (size_t more = 1; more < 10; more++)
		assert_int_equal(copy_payload(w->type, w->payload, w->len,
				     w->len + more),
		    -1);
}

static void
test_each_must_be_whole(void **state)
{
	(void)state;
	assert_int_equal(each_sample(refused_unless_whole), KINDS);
}

/* A length field anywhere may say anything. */
static void
harmless_when_changed(const struct wire_record *w)
{
	uint8_t *changed = malloc(w->len == 0 ? 1 : w->len);
	int rc;

	for (size_t at = 0; at < w->len; at++) {
		memcpy(changed, w->payload, w->len);
		for (int bit = 0; bit < 8; bit++) {
			changed[at] = w->payload[at] ^ (uint8_t)(1 << bit);
			rc = copy_payload(w->type, changed, w->len, w->len);
			assert_true(rc == 0 || rc == -1);
		}
		changed[at] = 0xff;
		rc = copy_payload(w->type, changed, w->len, w->len);
		assert_true(rc == 0 || rc == -1);
	}
	free(changed);
}

static void
test_each_survives_any_bit(void **state)
{
	(void)state;
	assert_int_equal(each_sample(harmless_when_changed), KINDS);
}

static void
test_unknown_types(void **state)
{
	struct op_head h;

	(void)state;
	for (int type = 0; type < 256; type++) {
		struct wire_record w = { .type = (uint8_t)type,
			.payload = (const uint8_t *)"",
			.len = 0 };
		bool empty = type == REC_READY || type == REC_HEARTBEAT ||
		    type == REC_LOST || type == REC_DRAINED ||
		    type == REC_PRESENCE_RESET || type == REC_CERTIFICATE ||
		    type == REC_STATUS || type == REC_REPLACED;

		assert_int_equal(rec_empty_get(&w), empty ? 0 : -1);
		assert_int_equal(copy_payload((uint8_t)type, "", 0, 0),
		    empty ? 0 : -1);
		w.payload = (const uint8_t *)"01234567890123456789012345678901";
		w.len = 32;
		assert_int_equal(rec_op_head_get(&w, &h),
		    type >= REC_OP_SEND && type < REC_OP_END ? 0 : -1);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bus_fields),
		TEST(test_interest_fields),
		TEST(test_publish_fields),
		TEST(test_event_fields),
		TEST(test_event_change_fields),
		TEST(test_event_members_fields),
		TEST(test_message_op_fields),
		TEST(test_room_op_fields),
		TEST(test_change_op_fields),
		TEST(test_room_change_op_fields),
		TEST(test_admin_op_fields),
		TEST(test_courier_fields),
		TEST(test_each_copies),
		TEST(test_each_must_be_whole),
		TEST(test_each_survives_any_bit),
		TEST(test_unknown_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
