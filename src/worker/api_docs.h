/* SPDX-License-Identifier: MIT */
/*
 * The descriptions of the API for programs, embedded from doc/ at build time.
 * A worker serves them as they are.
 */
#ifndef WORKER_API_DOCS_H
#define WORKER_API_DOCS_H

#include <stddef.h>

extern const char doc_openapi[];
extern const size_t doc_openapi_len;
extern const char doc_asyncapi[];
extern const size_t doc_asyncapi_len;

#endif
