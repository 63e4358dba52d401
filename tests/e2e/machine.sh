#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Boots systemd as the first process of namespaces of its own:
#   machine.sh DIRECTORY COMMAND…
# Its root is this machine's root, seen once more; what is changed there is
# kept in memory, below DIRECTORY.  COMMAND is run when all is mounted, with
# DESTDIR naming that root.  Of this machine's units there are only those
# named below, of its generators and its network nothing.
#
# It runs until its standard input is closed, then all of it is gone: the
# processes, the mounts (they are in namespaces), the control group and what
# was in DIRECTORY.  So it is when whoever holds that end of the pipe is
# killed.  Exits with 77, having said why, where something is not permitted.
set -eu
systemd=/lib/systemd/systemd

permitted()
{
	"$@" || {
		echo "not permitted here: $*" >&2
		exit 77
	}
}

# ---- stays outside and clears away ----

guard()
{
	dir=$1
	shift
	group=
	machine=
	watch=
	trap clear_away EXIT
	trap 'exit 1' HUP INT TERM
	mkdir "$dir/groups" "$dir/machine"
	permitted mount -t cgroup2 cgroup2 "$dir/groups"
	own=$(sed -n 's/^0:://p' /proc/self/cgroup)
	group=$dir/groups$own/chatapi-test-$$
	permitted mkdir "$group"
	exec 3<&0
	# shellcheck disable=SC2016 # for the inner shell
	sh -c 'echo 0 >"$0/cgroup.procs" && exec "$@"' "$group" \
	    unshare --cgroup --pid --fork --kill-child --mount \
	    --propagation private --uts --ipc --net -- \
	    sh "$0" --first "$dir/machine" "$@" </dev/null 3<&- &
	machine=$!
	{
		cat >/dev/null
		kill -KILL $machine
	} <&3 &
	watch=$!
	exec 3<&-
	wait $machine
}

clear_away()
{
	status=$?
	set +e
	[ -z "$watch" ] || kill $watch 2>/dev/null
	# With it ends the first process, with that all others.
	[ -z "$machine" ] || kill -KILL $machine 2>/dev/null
	wait
	n=0
	while [ -n "$group" ] && [ -d "$group" ] && [ $n -lt 100 ]; do
		find "$group" -depth -type d -exec rmdir {} + 2>/dev/null ||
		    sleep 0.1
		n=$((n + 1))
	done
	umount "$dir/groups" 2>/dev/null
	rmdir "$dir/groups" "$dir/machine" "$dir"
	exit $status
}

# ---- the first process ----

first()
{
	dir=$1
	shift
	root=$dir/root
	permitted mount -t tmpfs -o mode=755 machine "$dir"
	mkdir "$dir/upper" "$dir/work" "$dir/units" "$root"
	permitted mount -t overlay -o \
	    "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" machine "$root"
	[ -x "$root$systemd" ] || {
		echo "no $systemd in the file system of /" >&2
		exit 77
	}
	mount_kernel
	for d in run tmp var/tmp var/log var/lib/systemd etc/systemd; do
		mkdir -p "$root/$d"
		mount -t tmpfs -o mode=755 machine "$root/$d"
	done
	chmod 1777 "$root/tmp" "$root/var/tmp"
	choose_units
	tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
	# One that is served here is none of ours.
	rm -rf "$root/var/lib/chatapi" "$root/etc/default/chatapi"
	DESTDIR=$root "$@" >&2

	cd "$root"
	permitted pivot_root . .
	umount -l .
	cd /
	exec env -i container=chatapi-test PATH="$PATH" "$systemd"
}

mount_kernel()
{
	permitted mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
	# These settings are those of the whole machine.
	mount --bind "$root/proc/sys" "$root/proc/sys"
	mount -o remount,bind,ro "$root/proc/sys"
	permitted mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
	permitted mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 \
	    "$root/sys/fs/cgroup"
	mount -t tmpfs -o mode=755 machine "$root/dev"
	for d in null zero full random urandom tty; do
		permitted cp -a "/dev/$d" "$root/dev/$d"
	done
	mkdir "$root/dev/pts" "$root/dev/shm"
	mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts \
	    "$root/dev/pts"
	ln -s pts/ptmx "$root/dev/ptmx"
	ln -s /proc/self/fd "$root/dev/fd"
	mount -t tmpfs -o mode=1777 machine "$root/dev/shm"
}

choose_units()
{
	from=$root/lib/systemd/system
	for u in basic final local-fs multi-user network network-online \
	    paths shutdown slices sockets swap sysinit timers umount; do
		cp "$from/$u.target" "$dir/units"
	done
	cp "$from/systemd-journald.service" "$from"/systemd-journald*.socket \
	    "$dir/units"
	mount --bind "$dir/units" "$from"
	for d in lib usr/local/lib; do
		d=$root/$d/systemd/system-generators
		[ ! -d "$d" ] || mount -t tmpfs machine "$d"
	done
	etc=$root/etc/systemd/system
	mkdir -p "$etc/multi-user.target.wants"
	ln -s /lib/systemd/system/multi-user.target "$etc/default.target"
	ln -s /lib/systemd/system/systemd-journald.service \
	    "$etc/multi-user.target.wants"
}

case $1 in
--guard)
	shift
	guard "$@"
	;;
--first)
	shift
	first "$@"
	;;
*)
	permitted unshare --mount --pid --fork --uts --ipc --net --cgroup true
	exec unshare --mount --propagation private -- \
	    sh "$0" --guard "$@"
	;;
esac
