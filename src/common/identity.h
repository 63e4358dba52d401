/* SPDX-License-Identifier: MIT */
/*
 * Which user a process acts as.  The master binds its sockets as root and
 * then is somebody else for good; a command run by root acts as the owner of
 * the database while it writes there, so that no file becomes root's.
 */
#ifndef COMMON_IDENTITY_H
#define COMMON_IDENTITY_H

#include <stddef.h>
#include <sys/types.h>

struct identity {
	uid_t uid;
	gid_t gid;
	char name[64]; /* of the user, or its number */
};

/* The effective user of this process. */
void identity_self(struct identity *id);
/* The user of that name; -1 with a sentence in err. */
int identity_find(struct identity *id, const char *name, char *err,
    size_t errsize) __attribute__((warn_unused_result));
/* The owner of the file, or when there is none of its directory. */
int identity_owner(struct identity *id, const char *path)
    __attribute__((warn_unused_result));

/*
 * From root: effective user, group and supplementary groups become those of
 * id until identity_back().  0, or -1 with errno.
 */
int identity_become(const struct identity *id)
    __attribute__((warn_unused_result));
/* Root again; dies when that cannot be. */
void identity_back(void);
/* From root: becomes id with all of it, for good.  0, or -1 with errno. */
int identity_drop(const struct identity *id)
    __attribute__((warn_unused_result));

/* New memory: the directory in which the file is or would be. */
char *identity_directory(const char *path);
/*
 * Whether the files of a server can be reached by the effective user: the
 * database and what is beside it, their directory, a key file (NULL = beside
 * the database) that is there already.  0, or -1 with a sentence in err that
 * names the path and the user.
 */
int identity_check_files(const struct identity *id, const char *database,
    const char *key_file, char *err, size_t errsize)
    __attribute__((warn_unused_result));

#endif
