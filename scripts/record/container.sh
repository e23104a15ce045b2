#!/bin/bash
# container.sh NAME LOWER CGROUP SCRIPT: runs SCRIPT in a container whose root is the directory LOWER, under a writable layer of its own in memory.
# Run it in a mount namespace of one's own: what it mounts goes with that. CGROUP is the folder of a cgroup, which it enters first.
set -euo pipefail
name=$1 lower=$2 cgroup=$3 script=$4
echo $$ >"$cgroup/cgroup.procs"
base=$(mktemp -d)
mount -t tmpfs -o size=2g,mode=755 "$name" "$base"
mkdir "$base"/{upper,work,root}
chmod 755 "$base/upper"
mount -t overlay -o "lowerdir=$lower,upperdir=$base/upper,workdir=$base/work" "$name" "$base/root"
cp "$script" "$base/root/tmp/run"
export root=$base/root
exec timeout -k 5 900 unshare --mount --pid --net --ipc --uts --fork --kill-child bash -euc '
	ip link set lo up
	mount -t proc proc "$root/proc"
	mount -t tmpfs -o mode=755 dev "$root/dev"
	mkdir "$root/dev/shm" "$root/dev/pts"
	chmod 1777 "$root/dev/shm" "$root/tmp"
	for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
		IFS=: read -r file major minor <<<"$device"
		mknod -m 666 "$root/dev/$file" c "$major" "$minor"
	done
	ln -s /proc/self/fd "$root/dev/fd"
	exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
		chroot "$root" /bin/sh -e /tmp/run
'
