/* SPDX-License-Identifier: MIT */
/*
 * The TLS backend of a WebSocket (see ws_out.h): a session whose handshake
 * is done, on a non-blocking socket.
 */
#ifndef WORKER_TLS_IO_H
#define WORKER_TLS_IO_H

struct ssl_st;
struct ws_socket;

/*
 * Takes ssl and fd and makes a socket of them.  What ssl had already read
 * and decrypted comes first.
 */
void tls_io_start(struct ws_socket *s, struct ssl_st *ssl, int fd);

#endif
