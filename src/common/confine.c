/* SPDX-License-Identifier: MIT */
/* Both halves in their order, and what the log says of them. */
#include "confine.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#include "config.h"
#include "log.h"
#include "secret.h"

#ifdef WITHOUT_CONFINE
const int confine_built = 0;
#else
const int confine_built = 1;
#endif

void
confine(enum role role, const struct config *config,
    const struct secrets *secrets)
{
	int files, calls;

	if (!config->confine) {
		log_warn("not confined: CONFINE is no", NULL);
		return;
	}
	if (!confine_built) {
		log_info("not confined: this build is for tests", NULL);
		return;
	}
	/* The master has done so; Landlock and seccomp ask for it. */
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	files = confine_files(role, config, secret_loaded(secrets));
	if (files == -1)
		log_warn("files are not confined", "error=\"%s\"",
		    strerror(errno));
	calls = confine_calls(role);
	if (calls == -1)
		log_warn("system calls are not confined", "error=\"%s\"",
		    strerror(errno));
	log_info("confined", "landlock=%d seccomp=%d", files, calls);
}
