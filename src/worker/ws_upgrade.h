/* SPDX-License-Identifier: MIT */
/* GET /ws: the opening handshake (RFC 6455 section 4.2). */
#ifndef WORKER_WS_UPGRADE_H
#define WORKER_WS_UPGRADE_H

struct http_request;

/*
 * Route handler; identity is not checked yet when it is called.  Answers 4xx
 * or takes the connection over and begins a ws_conn.
 */
void ws_upgrade(struct http_request *q);

#endif
