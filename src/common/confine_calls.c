/* SPDX-License-Identifier: MIT */
/*
 * System calls that a child never makes, refused with EPERM by seccomp.
 *
 * A list of what is forbidden, not of what is allowed: a newer libc, SQLite
 * or libcurl may use a call that no list of ours knows, and a server that
 * fails after an upgrade of a library is no gain.  Forbidden is what runs
 * other programs, reaches into other processes or the kernel, gets around
 * the other half (io_uring), or opens a kind of socket that the role does
 * not use.  EPERM, not death: what was forbidden by mistake is then an error
 * in a log.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "confine.h"

#ifdef HAVE_SECCOMP
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* By name: the headers at hand may be older than the kernel. */
static const char *const forbidden[] = {
	/* other programs, other processes */
	"execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev",
	"process_madvise", "pidfd_getfd", "pidfd_send_signal", "kill", "tkill",
	"kcmp",
	/* other users, other name spaces */
	"setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid",
	"setgroups", "setfsuid", "setfsgid", "capset", "unshare", "setns",
	"chroot", "pivot_root", "mount", "umount2", "open_tree", "move_mount",
	"fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr",
	"personality",
	/* around the rules for files */
	"io_uring_setup", "io_uring_enter", "io_uring_register",
	"open_by_handle_at", "name_to_handle_at",
	/* the kernel */
	"bpf", "perf_event_open", "userfaultfd", "add_key", "request_key",
	"keyctl", "kexec_load", "kexec_file_load", "init_module",
	"finit_module", "delete_module", "reboot", "swapon", "swapoff", "acct",
	"quotactl", "quotactl_fd", "settimeofday", "clock_settime", "adjtimex",
	"clock_adjtime", "sethostname", "setdomainname", "iopl", "ioperm",
	"modify_ldt", "syslog", "vhangup", "fanotify_init", "lookup_dcookie",
	"vmsplice"
};

/* What the kernel or this libseccomp does not know needs no rule. */
static int
forbid(scmp_filter_ctx f, const char *name, unsigned n,
    const struct scmp_arg_cmp *args)
{
	int nr = seccomp_syscall_resolve_name(name), rc;

	if (nr == __NR_SCMP_ERROR)
		return 0;
	rc = seccomp_rule_add_array(f, SCMP_ACT_ERRNO(EPERM), nr, n, args);
	return rc == -EDOM || rc == -EEXIST ? 0 : rc;
}

static bool
family_used(enum role role, int family)
{
	if (role == ROLE_COURIER &&
	    (family == AF_INET || family == AF_INET6 || family == AF_NETLINK))
		return true;
	return family == AF_UNIX;
}

/* Workers accept; only the courier goes out. */
static int
forbid_sockets(scmp_filter_ctx f, enum role role)
{
	const struct scmp_arg_cmp above = SCMP_CMP32(0, SCMP_CMP_GT, AF_NETLINK,
	    0);
	int rc = forbid(f, "socket", 1, &above);

	for (int i = 0; i <= AF_NETLINK && rc == 0; i++) {
		struct scmp_arg_cmp arg = SCMP_CMP32(0, SCMP_CMP_EQ,
		    (uint32_t)i, 0);

		if (!family_used(role, i))
			rc = forbid(f, "socket", 1, &arg);
	}
	return rc;
}

/* Memory that is both written and executed, or executed after all. */
static int
forbid_code(scmp_filter_ctx f)
{
	const uint32_t wx = PROT_WRITE | PROT_EXEC;
	const struct scmp_arg_cmp map = SCMP_CMP32(2, SCMP_CMP_MASKED_EQ, wx,
	    wx);
	const struct scmp_arg_cmp protect = SCMP_CMP32(2, SCMP_CMP_MASKED_EQ,
	    PROT_EXEC, PROT_EXEC);
	int rc;

	if ((rc = forbid(f, "mmap", 1, &map)) != 0 ||
	    (rc = forbid(f, "mprotect", 1, &protect)) != 0)
		return rc;
	return forbid(f, "pkey_mprotect", 1, &protect);
}

/* Threads yes, name spaces no; clone3 has its flags where no filter can see
 * them, and libc goes back to clone when there is none. */
static int
forbid_clones(scmp_filter_ctx f)
{
	static const uint32_t spaces[] = { CLONE_NEWNS, CLONE_NEWCGROUP,
		CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID,
		CLONE_NEWNET };
	int nr = seccomp_syscall_resolve_name("clone3"), rc = 0;

	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]) && rc == 0;
	     i++) {
		struct scmp_arg_cmp arg = SCMP_CMP(0, SCMP_CMP_MASKED_EQ,
		    spaces[i], spaces[i]);

		rc = forbid(f, "clone", 1, &arg);
	}
	if (rc == 0 && nr != __NR_SCMP_ERROR)
		rc = seccomp_rule_add_array(f, SCMP_ACT_ERRNO(ENOSYS), nr, 0,
		    NULL);
	return rc;
}

int
confine_calls(enum role role)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int rc = 0;

	if (f == NULL) {
		errno = ENOMEM;
		return -1;
	}
	for (size_t i = 0;
	     i < sizeof(forbidden) / sizeof(forbidden[0]) && rc == 0; i++)
		rc = forbid(f, forbidden[i], 0, NULL);
	if (rc == 0)
		rc = forbid_sockets(f, role);
	if (rc == 0)
		rc = forbid_code(f);
	if (rc == 0)
		rc = forbid_clones(f);
	if (rc == 0)
		rc = seccomp_load(f);
	seccomp_release(f);
	if (rc == 0)
		return 1;
	if (rc == -EINVAL || rc == -ENOSYS)
		return 0;
	errno = -rc;
	return -1;
}

#else

int
confine_calls(enum role role)
{
	(void)role;
	return 0;
}

#endif
