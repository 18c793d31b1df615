// SPDX-License-Identifier: BSD-2-Clause
#include "confine.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The bounding set too, so that even an executable with file capabilities would bring nothing back. */
static int drop_bounding_set(void)
{
	unsigned long cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			return -errno;
	return 0;
}

/* setresuid away from root clears permitted and effective; inheritable it leaves alone. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}}, left[_LINUX_CAPABILITY_U32S_3];
	unsigned i;

	if (syscall(SYS_capset, &head, none) || syscall(SYS_capget, &head, left))
		return -errno;
	for (i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		if (left[i].effective | left[i].permitted | left[i].inheritable)
			return -EPERM;
	return 0;
}

int confine_user(const char *name)
{
	const struct passwd *pw;
	int err;

	errno = 0;
	pw = getpwnam(name);
	if (!pw)
		return errno && errno != ESRCH ? -errno : -ENOENT;

	err = drop_bounding_set();
	if (err)
		return err;
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0))
		return -errno;
	if (setgroups(0, NULL) || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid))
		return -errno;
	if (pw->pw_uid != 0 && !setuid(0))
		return -EPERM;
	/* A change of account forgets this: with the parent goes the child, keys and all. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		return -errno;
	return drop_capabilities();
}

static int allow(scmp_filter_ctx filter, const struct confine_call *c)
{
	int nr = seccomp_syscall_resolve_name(c->name);

	/* Pseudo numbers (negative) stand for calls that this architecture does not have. */
	if (nr < 0)
		return nr == __NR_SCMP_ERROR ? -EINVAL : 0;
	if (!c->mask)
		return seccomp_rule_add(filter, SCMP_ACT_ALLOW, nr, 0);
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, nr, 1,
				SCMP_CMP(c->arg, SCMP_CMP_MASKED_EQ, c->mask, c->value));
}

int confine_finish(const struct confine_call *calls, size_t n)
{
	scmp_filter_ctx filter;
	int err = 0;
	size_t i;

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;

	filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!filter)
		return -ENOMEM;
	for (i = 0; i < n && !err; i++)
		err = allow(filter, &calls[i]);
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}
