/* SPDX-License-Identifier: MIT */
/*
 * The rules for a tenant's settings.  Used by workers, the tool and the
 * writer; does no I/O and looks no name up.
 */
#include "tenant_rules.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "addr_public.h"
#include "utf8.h"

#define HOST_MAX 253

const char *
tenant_rules_name(struct str v)
{
	if (v.len == 0 || v.len > TENANT_NAME_MAX || !utf8_valid(v.p, v.len))
		return "name must have 1 to 256 bytes of UTF-8.";
	return NULL;
}

/* ---- webhook_url ---- */

static const char bad_url[] =
    "webhook_url must be an http or https URL of printable ASCII, without "
    "user, password or fragment.";
static const char long_url[] = "webhook_url is longer than 2048 bytes.";
static const char private_url[] =
    "webhook_url must not name a loopback, private or link-local address.";

/* Behind "http://" or "https://"; NULL when it begins otherwise. */
static const char *
url_authority(struct str v)
{
	static const char *const schemes[] = { "http://", "https://" };

	for (size_t i = 0; i < 2; i++) {
		size_t n = strlen(schemes[i]);

		if (v.len > n && strncasecmp(v.p, schemes[i], n) == 0)
			return v.p + n;
	}
	return NULL;
}

static bool
port_valid(const char *p, size_t len)
{
	unsigned v = 0;

	if (len == 0 || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		v = v * 10 + (unsigned)(p[i] - '0');
	}
	return v >= 1 && v <= UINT16_MAX;
}

/* The host, without brackets, into `host`; false when there is none. */
static bool
url_host(const char *p, size_t len, char host[HOST_MAX + 1], bool *v6)
{
	const char *colon;
	size_t n;

	*v6 = len > 0 && *p == '[';
	if (*v6) {
		const char *close = memchr(p, ']', len);

		if (close == NULL)
			return false;
		n = (size_t)(close - p) - 1;
		p++;
		len -= n + 2;
		colon = close + 1;
	} else {
		colon = memchr(p, ':', len);
		n = colon != NULL ? (size_t)(colon - p) : len;
		colon = p + n;
		len -= n;
	}
	if (n == 0 || n > HOST_MAX ||
	    (len > 0 && (*colon != ':' || !port_valid(colon + 1, len - 1))))
		return false;
	memcpy(host, p, n);
	host[n] = '\0';
	return true;
}

/* Labels of letters, digits, '-' and '_', the last one no number: that would
 * be an address in a form that nobody reads alike. */
static bool
name_valid(const char *host)
{
	const char *label = host;

	for (;;) {
		size_t n = strspn(label,
		    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		    "0123456789-_");

		if (n == 0 || n > 63)
			return false;
		if (label[n] == '\0')
			return !isdigit((unsigned char)*label) ||
			    strspn(label, "0123456789") != n;
		if (label[n] != '.')
			return false;
		label += n + 1;
	}
}

static const char *
host_refusal(char *host, bool v6, bool allow_private)
{
	uint8_t a[16];
	struct in_addr a4;
	size_t len = strlen(host);

	if (v6) {
		if (inet_pton(AF_INET6, host, a) != 1)
			return bad_url;
		return allow_private || addr_public6(a) ? NULL : private_url;
	}
	/* A dot at the end says that the name is complete. */
	if (len > 1 && host[len - 1] == '.')
		host[len - 1] = '\0';
	/* Also 127.1, 0x7f000001 and 017700000001, as resolvers read them. */
	if (strspn(host, "0123456789abcdefABCDEFxX.") == strlen(host) &&
	    inet_aton(host, &a4) != 0) {
		memcpy(a, &a4.s_addr, 4);
		return allow_private || addr_public4(a) ? NULL : private_url;
	}
	return name_valid(host) ? NULL : bad_url;
}

const char *
tenant_rules_webhook_url(struct str v, bool allow_private)
{
	char host[HOST_MAX + 1];
	const char *p = url_authority(v);
	size_t len;
	bool v6;

	if (v.len > TENANT_URL_MAX)
		return long_url;
	if (p == NULL)
		return bad_url;
	for (size_t i = 0; i < v.len; i++)
		if (v.p[i] <= ' ' || v.p[i] >= 0x7f || v.p[i] == '\\' ||
		    v.p[i] == '#' || v.p[i] == '"' || v.p[i] == '<' ||
		    v.p[i] == '>')
			return bad_url;
	for (len = 0; p + len < v.p + v.len; len++)
		if (p[len] == '/' || p[len] == '?')
			break;
	if (memchr(p, '@', len) != NULL || !url_host(p, len, host, &v6))
		return bad_url;
	return host_refusal(host, v6, allow_private);
}

/* ---- secrets and keys ---- */

static bool
secret_text(struct str v)
{
	for (size_t i = 0; i < v.len; i++)
		if ((unsigned char)v.p[i] < 0x20 || v.p[i] == 0x7f)
			return false;
	return utf8_valid(v.p, v.len);
}

const char *
tenant_rules_webhook_secret(struct str v)
{
	if (v.len == 0 || v.len > TENANT_SECRET_MAX || !secret_text(v))
		return "webhook_secret must have 1 to 512 bytes without "
		       "control characters.";
	return NULL;
}

const char *
tenant_rules_jwt_secret(struct str v)
{
	if (v.len < TENANT_JWT_SECRET_MIN || v.len > TENANT_SECRET_MAX ||
	    !secret_text(v))
		return "jwt_secret must have 32 to 512 bytes without control "
		       "characters; HS256 is no stronger than its secret.";
	return NULL;
}

/* SubjectPublicKeyInfo of an Ed25519 key, up to the key: RFC 8410. */
static const uint8_t spki[] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65,
	0x70, 0x03, 0x21, 0x00 };
static const char pem_begin[] = "-----BEGIN PUBLIC KEY-----";
static const char pem_end[] = "-----END PUBLIC KEY-----";

/* Without the spaces around it. */
static struct str
trimmed(struct str v)
{
	while (v.len > 0 && strchr(" \t\r\n", v.p[0]) != NULL &&
	    v.p[0] != '\0') {
		v.p++;
		v.len--;
	}
	while (v.len > 0 && v.p[v.len - 1] != '\0' &&
	    strchr(" \t\r\n", v.p[v.len - 1]) != NULL)
		v.len--;
	return v;
}

static bool
pem_key(struct str v, uint8_t out[TENANT_JWT_PUBLIC_SIZE])
{
	const size_t begin = sizeof(pem_begin) - 1, end = sizeof(pem_end) - 1;
	uint8_t der[sizeof(spki) + TENANT_JWT_PUBLIC_SIZE];
	const char *stop;
	size_t n;

	if (v.len < begin + end || memcmp(v.p, pem_begin, begin) != 0 ||
	    memcmp(v.p + v.len - end, pem_end, end) != 0)
		return false;
	v.p += begin;
	v.len -= begin + end;
	/* A NUL would be ignored like the spaces: strchr() finds it. */
	if (memchr(v.p, '\0', v.len) != NULL)
		return false;
	if (sodium_base642bin(der, sizeof(der), v.p, v.len, " \t\r\n", &n,
		&stop, sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    stop != v.p + v.len || n != sizeof(der) ||
	    memcmp(der, spki, sizeof(spki)) != 0)
		return false;
	memcpy(out, der + sizeof(spki), TENANT_JWT_PUBLIC_SIZE);
	return true;
}

static bool
base64url_key(struct str v, uint8_t out[TENANT_JWT_PUBLIC_SIZE])
{
	const char *stop;
	size_t n;

	if (v.len == 44 && v.p[43] == '=')
		v.len--;
	return v.len == 43 &&
	    sodium_base642bin(out, TENANT_JWT_PUBLIC_SIZE, v.p, v.len, NULL, &n,
		&stop, sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
	    stop == v.p + v.len && n == TENANT_JWT_PUBLIC_SIZE;
}

const char *
tenant_rules_jwt_public_key(struct str v, uint8_t out[TENANT_JWT_PUBLIC_SIZE])
{
	v = trimmed(v);
	/* A point of small order would verify what nobody signed. */
	if ((pem_key(v, out) || base64url_key(v, out)) &&
	    crypto_core_ed25519_is_valid_point(out) == 1)
		return NULL;
	return "jwt_public_key must be an Ed25519 public key: PEM (BEGIN "
	       "PUBLIC KEY), or base64url of its 32 bytes.";
}

void
tenant_rules_new_secret(char out[TENANT_WHSEC_SIZE])
{
	uint8_t random[32];

	randombytes_buf(random, sizeof(random));
	memcpy(out, "whsec_", 6);
	sodium_bin2base64(out + 6, TENANT_WHSEC_SIZE - 6, random,
	    sizeof(random), sodium_base64_VARIANT_ORIGINAL);
	sodium_memzero(random, sizeof(random));
}
