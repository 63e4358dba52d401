/* SPDX-License-Identifier: MIT */
/* API keys and ws tokens: 256 random bits, shown once, stored hashed
 * (BLAKE2b-256). */
#ifndef COMMON_KEY_H
#define COMMON_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_TEXT_SIZE 47 /* "sk_" + 43 characters of base64url + NUL */
#define KEY_HASH_SIZE 32

void key_new(char out[KEY_TEXT_SIZE]);
/* False when the text cannot be a key at all (then no hash is made). */
bool key_hash(const char *text, size_t len, uint8_t out[KEY_HASH_SIZE]);
/* The same for tokens that open one WebSocket: "wst_" and 43 characters. */
#define KEY_WS_TOKEN_SIZE 48
void key_ws_token_new(char out[KEY_WS_TOKEN_SIZE]);
bool key_ws_token_hash(const char *text, size_t len,
    uint8_t out[KEY_HASH_SIZE]);
/* Constant-time comparison of two NUL-terminated secrets of any length. */
bool key_equal(const char *a, const char *b);

/* 128-bit BLAKE2b of a message's content and meta (len 0 = absent), for
 * telling a repeat from a conflict. */
#define CONTENT_HASH_SIZE 16
void key_content_hash(uint8_t out[CONTENT_HASH_SIZE], const char *content,
    size_t content_len, const char *meta, size_t meta_len);

#endif
