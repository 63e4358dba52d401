#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes the Debian package from what `make dist' would ship, looks at it with
# lintian, and in a Debian of its own installs it, serves, removes and purges
# it.  Minutes; needs root, the network, and the packages debhelper,
# dh-sequence-installsysusers, lintian and debootstrap.
#   CHATAPI_DEB_ROOT   a directory with a Debian that debootstrap has made;
#                      it is copied, so it may be used again
set -eu
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
: "${top_builddir:=$top_srcdir}"
unset MAKEFLAGS MFLAGS MAKELEVEL
port=18090

skip()
{
	echo "deb.sh: skipped: $*" >&2
	exit 77
}

die()
{
	echo "deb.sh: $*" >&2
	exit 1
}

for tool in dh lintian dpkg-buildpackage; do
	command -v $tool >/dev/null || skip "there is no $tool"
done
work=$top_builddir/tests/package/work
root=
pid=
end()
{
	[ -z "$pid" ] || kill "$pid" 2>/dev/null || :
	[ -z "$root" ] || umount "$root/proc" 2>/dev/null || :
	rm -rf "$work"
}
rm -rf "$work"
mkdir -p "$work"
trap end EXIT
trap 'exit 1' INT TERM

# ---- the package ----

make -s -C "$top_builddir" distdir distdir="$work/chatapi" >/dev/null
(
	cd "$work/chatapi"
	DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" \
	    dpkg-buildpackage -b -us -uc -nc >../build.log 2>&1
) || {
	tail -n 40 "$work/build.log" >&2
	die "the package was not made"
}
deb=$(echo "$work"/chatapi_*.deb)
echo "deb.sh: $(basename "$deb"), $(($(stat -c %s "$deb") / 1024)) KiB"
lintian --allow-root --fail-on error,warning "$work"/*.changes >&2 ||
    die "lintian has something to say"

# ---- a Debian to install it in ----

[ "$(id -u)" = 0 ] || skip "all but the package itself needs root"
command -v debootstrap >/dev/null || skip "there is no debootstrap"
root=$work/root
if [ -n "${CHATAPI_DEB_ROOT-}" ]; then
	cp -a "$CHATAPI_DEB_ROOT" "$root"
else
	debootstrap --variant=minbase bookworm "$root" \
	    http://deb.debian.org/debian >"$work/debootstrap.log" 2>&1 || {
		tail -n 5 "$work/debootstrap.log" >&2
		root=
		skip "debootstrap could not make a Debian"
	}
fi
mount -t proc proc "$root/proc"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"
cp /etc/resolv.conf "$root/etc/resolv.conf"
for f in /etc/apt/apt.conf.d/*proxy* /etc/apt/apt.conf.d/99*; do
	[ ! -f "$f" ] || cp "$f" "$root/etc/apt/apt.conf.d/"
done
cp "$deb" "$root/chatapi.deb"

inside()
{
	chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C \
	    PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

if ! inside apt-get -q update >"$work/apt.log" 2>&1 ||
    ! inside apt-get -q -y --no-install-recommends install /chatapi.deb \
	>>"$work/apt.log" 2>&1; then
	tail -n 30 "$work/apt.log" >&2
	die "the package was not installed"
fi

# ---- what is there, and that it serves ----

inside getent passwd chatapi >/dev/null || die "there is no user chatapi"
[ "$(inside stat -c '%U %a' /var/lib/chatapi)" = 'chatapi 700' ] ||
    die "/var/lib/chatapi is not the user's own"
conf=/etc/chatapi/chatapi.conf
inside dpkg-query -W -f '${Conffiles}' chatapi | grep -q " $conf " ||
    die "$conf is no conffile"
[ "$(inside stat -c '%U %G %a' $conf)" = 'root chatapi 640' ] ||
    die "$conf may be read by others"
[ -L "$root/etc/systemd/system/multi-user.target.wants/chatapi.service" ] ||
    die "the service is not enabled"
[ ! -e "$root/etc/systemd/system/sockets.target.wants/chatapi.socket" ] ||
    die "the socket is enabled"

# It is loaded, not linked, so that only a try shows whether it has come along.
inside /usr/libexec/chatapi/chatapi-courier --version | grep -q libcurl ||
    die "the courier has no libcurl"

key=$(inside chatapi -c $conf tenant create acme | grep -o 'sk_[A-Za-z0-9_-]*')
[ -n "$key" ] || die "no tenant was made"
chroot "$root" /usr/bin/chatapi -c $conf -l 127.0.0.1:$port \
    >"$work/server.log" 2>&1 &
pid=$!
n=0
until curl -fs -o /dev/null "http://127.0.0.1:$port/health"; do
	n=$((n + 1))
	if [ $n -gt 150 ] || ! kill -0 $pid 2>/dev/null; then
		cat "$work/server.log" >&2
		die "the server is not healthy"
	fi
	sleep 0.2
done
curl -fsS "http://127.0.0.1:$port/rooms" -H "X-API-Key: $key" \
    -H 'Content-Type: application/json' \
    -d '{"type":"dm","members":["alice","bob"]}' >/dev/null ||
    die "no room was made"
[ "$(curl -s -o /dev/null -w '%{http_code}' \
    "http://127.0.0.1:$port/console/")" = 200 ] || die "there is no console"
[ "$(stat -c %u /proc/$pid)" = "$(inside id -u chatapi)" ] ||
    [ "$(awk '/^Uid/ { print $2 }' /proc/$pid/status)" = \
    "$(inside id -u chatapi)" ] || die "it serves as another user"
kill $pid
wait $pid || die "it did not stop as it should"
pid=

# ---- and that it goes ----

inside dpkg -r chatapi >>"$work/apt.log" 2>&1 || die "not removed"
[ ! -e "$root/usr/bin/chatapi" ] || die "the program is still there"
[ -s "$root$conf" ] || die "a removal took the configuration"
inside dpkg --purge chatapi >"$work/purge.log" 2>&1 || {
	cat "$work/purge.log" >&2
	die "not purged"
}
[ ! -e "$root/etc/chatapi" ] || die "a purge left /etc/chatapi"
[ -s "$root/var/lib/chatapi/chatapi.db" ] || die "a purge took the messages"
[ ! -e "$root/var/lib/chatapi/chatapi.db-lock" ] ||
    die "a purge left the lock file"
grep -q 'database in /var/lib/chatapi is left' "$work/purge.log" ||
    die "a purge did not say what it left"
echo "deb.sh: installed, served, removed, purged"
