/* SPDX-License-Identifier: MIT */
/* What the handlers under /admin/tenants share. */
#ifndef WORKER_API_TENANTS_H
#define WORKER_API_TENANTS_H

#include <stdbool.h>
#include <stdint.h>

#include "../common/records.h"

struct http_request;

/* The tenant's id in the path, for an operation; false when it cannot be one:
 * then that is answered. */
bool api_tenant_id(struct http_request *q, struct str *id)
    __attribute__((warn_unused_result));

#endif
