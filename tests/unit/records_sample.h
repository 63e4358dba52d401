/* SPDX-License-Identifier: MIT */
/* One record of each kind, each field with a value of its own. */
#ifndef UNIT_RECORDS_SAMPLE_H
#define UNIT_RECORDS_SAMPLE_H

#include <stddef.h>

#include "common/records.h"
#include "common/records_courier.h"
#include "common/records_notify.h"
#include "common/records_tenant.h"
#include "common/records_token.h"

#define SAMPLE_TOKEN "01kapdck0vabcdefghjkmn"
#define STR(text) ((struct str){ text, sizeof(text) - 1 })

extern const struct str sample_users[3];
extern const uint64_t sample_keys[3];

extern const struct rec_hello sample_hello;
extern const struct rec_peer sample_peer;
extern const struct rec_interest sample_interest;
extern const struct rec_attach sample_attach;
extern const struct rec_attached sample_attached;
extern const struct rec_event_message sample_message;
extern const struct rec_event_members sample_members;
extern const struct rec_event_acked sample_acked;
extern const struct rec_presence sample_presence;
extern const struct rec_event_change sample_event_change;
extern const struct rec_event_room sample_event_room;
extern const struct rec_event_typing sample_typing;
extern const struct rec_event_tenant sample_tenant;
extern const struct rec_op_send sample_send;
extern const struct rec_op_ack sample_ack;
extern const struct rec_op_room_create sample_room;
extern const struct rec_op_members_add sample_add;
extern const struct rec_op_member_remove sample_remove;
extern const struct rec_op_change sample_edit;
extern const struct rec_op_change sample_delete;
extern const struct rec_op_room_update sample_update;
extern const struct rec_op_room_delete sample_room_delete;
extern const struct rec_op_room_trim sample_trim;
extern const struct rec_op_tenant_create sample_new_tenant;
extern const struct rec_op_admin sample_admin;
extern const struct rec_op_key_used sample_key_used;
extern const struct rec_op_tenant_update sample_tenant_update;
extern const struct rec_op_ws_token_issue sample_issue;
extern const struct rec_op_ws_token_redeem sample_redeem;
extern const uint64_t sample_inbox[3];
extern const struct rec_event_notification sample_notification;
extern const struct rec_op_notify sample_notify;
extern const struct rec_op_of_user sample_subscribe;
extern const struct rec_op_of_user sample_note_ack;
extern const struct rec_op_of_user sample_seen;
extern const struct rec_absence sample_absence;
extern const struct rec_absence_ok sample_absence_ok;
extern const struct rec_op_outbox_step sample_step;
extern const struct rec_op_delivery_result sample_result;
extern const struct rec_op_webhook_drop sample_webhook_drop;
extern const struct rec_op_dead_letter sample_dead_letter;
extern const struct rec_reply sample_reply;

/* Adds one of each to b; returns how many. */
size_t records_sample(struct buf *b);

#endif
