/* SPDX-License-Identifier: MIT */
/* The handlers of the REST API, one api_….c a resource; see route.c. */
#ifndef WORKER_API_H
#define WORKER_API_H

struct http_request;

void api_health(struct http_request *q);
void api_metrics(struct http_request *q);
void api_docs_openapi(struct http_request *q);
void api_docs_asyncapi(struct http_request *q);

void api_console_redirect(struct http_request *q);
void api_console_index(struct http_request *q);
void api_console_file(struct http_request *q);
void api_console_client(struct http_request *q);

void api_tenants_list(struct http_request *q);
void api_tenants_create(struct http_request *q);
void api_tenants_get(struct http_request *q);
void api_tenants_update(struct http_request *q);
void api_tenants_delete(struct http_request *q);

void api_keys_list(struct http_request *q);
void api_keys_add(struct http_request *q);
void api_keys_revoke(struct http_request *q);

void api_dead_letters_list(struct http_request *q);
void api_dead_letters_retry(struct http_request *q);
void api_dead_letters_drop(struct http_request *q);

void api_channels_list(struct http_request *q);
void api_rooms_list(struct http_request *q);
void api_rooms_create(struct http_request *q);
void api_rooms_get(struct http_request *q);
void api_rooms_update(struct http_request *q);
void api_rooms_delete(struct http_request *q);

void api_members_list(struct http_request *q);
void api_members_add(struct http_request *q);
void api_members_remove(struct http_request *q);

void api_messages_list(struct http_request *q);
void api_messages_send(struct http_request *q);
void api_messages_get(struct http_request *q);
void api_messages_edit(struct http_request *q);
void api_messages_delete(struct http_request *q);

void api_acks_post(struct http_request *q);

void api_notify_post(struct http_request *q);
void api_notifications_list(struct http_request *q);
void api_notifications_ack(struct http_request *q);

void api_subscriptions_list(struct http_request *q);
void api_subscriptions_add(struct http_request *q);
void api_subscriptions_remove(struct http_request *q);

void api_ws_token_issue(struct http_request *q);

#endif
