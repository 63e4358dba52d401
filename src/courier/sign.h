/* SPDX-License-Identifier: MIT */
/*
 * The two signatures of a webhook: that of Standard Webhooks
 * (standardwebhooks.com) and one of the body alone.  Pure.
 */
#ifndef COURIER_SIGN_H
#define COURIER_SIGN_H

#include <stddef.h>
#include <stdint.h>

#define SIGN_STANDARD_SIZE (3 + 44 + 1) /* "v1," and base64 of 32 bytes */
#define SIGN_BODY_SIZE (7 + 64 + 1)     /* "sha256=" and hex of 32 bytes */

/*
 * webhook-signature: HMAC-SHA256 of "id.timestamp.body".  The key is what
 * follows "whsec_" in base64; a secret that is none is the key itself.
 */
void sign_standard(char out[SIGN_STANDARD_SIZE], const char *secret,
    size_t secret_len, const char *id, int64_t unix_s, const char *body,
    size_t len);
/* X-ChatAPI-Signature: HMAC-SHA256 of the body under the whole secret. */
void sign_body(char out[SIGN_BODY_SIZE], const char *secret, size_t secret_len,
    const char *body, size_t len);

#endif
