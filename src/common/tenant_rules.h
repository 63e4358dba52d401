/* SPDX-License-Identifier: MIT */
/*
 * What an operator may set for a tenant: one set of rules for the admin API,
 * the tool and the writer.  Pure, but for making a secret.
 *
 * Each returns NULL when the value is good, else a constant sentence for the
 * caller that says what is allowed.
 */
#ifndef COMMON_TENANT_RULES_H
#define COMMON_TENANT_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "records_tenant.h"

const char *tenant_rules_name(struct str v);
/*
 * An http or https URL of at most TENANT_URL_MAX bytes.  Unless private ones
 * are allowed, a host written as an address must be a public one; what a
 * name leads to is seen only when it is used.
 */
const char *tenant_rules_webhook_url(struct str v, bool allow_private);
const char *tenant_rules_webhook_secret(struct str v);
/* RFC 7518 section 3.2: no shorter than the hash, 32 bytes. */
#define TENANT_JWT_SECRET_MIN 32
const char *tenant_rules_jwt_secret(struct str v);
/* PEM of a SubjectPublicKeyInfo (RFC 8410), or base64url of the 32 bytes, as
 * in a JWK's "x".  The key goes to out. */
const char *tenant_rules_jwt_public_key(struct str v,
    uint8_t out[TENANT_JWT_PUBLIC_SIZE]);

/* "whsec_" and base64 of 32 random bytes. */
#define TENANT_WHSEC_SIZE (6 + 44 + 1)
void tenant_rules_new_secret(char out[TENANT_WHSEC_SIZE]);

#endif
