/* SPDX-License-Identifier: MIT */
/* Tells the service manager how we are; does nothing without one. */
#ifndef MASTER_NOTIFY_H
#define MASTER_NOTIFY_H

void notify_ready(const char *status);
void notify_stopping(void);

#endif
