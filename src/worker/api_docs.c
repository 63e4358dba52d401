/* SPDX-License-Identifier: MIT */
/* GET /openapi.json and GET /asyncapi.json.  Runs in a worker; open to
 * anybody, says nothing of this server in particular. */
#include "api_docs.h"

#include "../common/buf.h"
#include "api.h"
#include "http.h"

static void
docs_reply(struct http_request *q, const char *text, size_t len)
{
	struct buf *b = http_body(q);

	buf_add(b, text, len);
	http_reply(q, 200, b);
}

void
api_docs_openapi(struct http_request *q)
{
	docs_reply(q, doc_openapi, doc_openapi_len);
}

void
api_docs_asyncapi(struct http_request *q)
{
	docs_reply(q, doc_asyncapi, doc_asyncapi_len);
}
