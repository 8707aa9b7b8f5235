#!/usr/bin/env bash
# in-room.sh ROOM TOOLCHAIN REGISTRY: runs the commands of ROOM/commands in
# ROOM/root. Called by room.sh as the first process of namespaces of its
# own: all mounts and processes end with it.
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
. "${BASH_SOURCE[0]%/*}/common.sh"

room=$1 tools=$2 registry=$3
root=$room/root

# Our own mounts must not reach the rest of the machine.
[ "$$" -eq 1 ] || die "run scripts/clean-room.sh or scripts/cross-windows.sh instead"

mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755,size=64k tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"

path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/rust/bin
mkdir -p "$root/opt/rust"
mount --bind -o ro "$tools" "$root/opt/rust"
mount -o remount,bind,ro "$root/opt/rust"
# Crates that are not there yet go into the room; all do where cargo has never run.
if [ -d "$registry" ]; then
    mount -t overlay -o "lowerdir=$registry,upperdir=$room/upper,workdir=$room/work" overlay \
        "$root/root/.cargo/registry" 2>/dev/null || cp -a "$registry/." "$root/root/.cargo/registry/"
fi
# Further folders: where each is here and there, and whether it may be written to.
if [ -e "$room/mounts" ]; then
    while read -r from to access; do
        mkdir -p "$root$to"
        mount --bind "$from" "$root$to"
        [ "$access" != ro ] || mount -o remount,bind,ro "$root$to"
        path=$path:$to/bin
    done <"$room/mounts"
fi

environment=(HOME=/root PATH="$path" LANG=C.UTF-8 TERM="${TERM:-dumb}")
while read -r line; do environment+=("$line"); done <"$room/environment"
while read -r command; do
    say "\$ $command"
    begun=$SECONDS
    status=0
    env -i "${environment[@]}" chroot "$root" \
        /bin/bash -c "cd /root/progression-boost && $command" </dev/null || status=$?
    took=$((SECONDS - begun))
    [ "$status" -eq 0 ] || die "\`$command\` failed with exit code $status after $took s"
    say "\`$command\` ended well after $took s"
done <"$room/commands"
