#!/bin/bash
# rebuild.sh [--list] PAIR OUTDIR: rebuild the two EROFS images a pair of bundled traces was recorded on, and compare them with the recorded ones.
#   a = Debian bookworm as released, b = the same packages with updates and security fixes. See README.md.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export LC_ALL=C
unset SOURCE_DATE_EPOCH # mkfs.erofs would keep older times: larger inodes, another layout
umask 022

die() { echo "${0##*/}: $*" >&2; exit 2; }

list=
if [[ ${1-} == --list ]]; then list=1; shift; fi
case ${1-} in
	redis) packages=redis-server ;;
	nginx) packages=nginx ;;
	postgres) packages= ;;
	python-sci) packages=python3,python3-numpy,python3-scipy,python3-pandas ;;
	*) die "usage: rebuild.sh [--list] redis|nginx|postgres|python-sci OUTDIR" ;;
esac
pair=$1

for tool in mmdebstrap mkfs.erofs hardlink python3; do
	command -v "$tool" >/dev/null || die "$tool is missing: apt-get install mmdebstrap erofs-utils util-linux python3"
done
[[ $pair != postgres ]] || command -v npm >/dev/null || die "npm is missing: it comes with Node.js"

# mirror LABEL VARIABLE: VARIABLE if it is set, else the mirror that apt is configured with for the archive called LABEL
mirror() {
	local uri=${!2-}
	[[ $uri ]] || uri=$(apt-get indextargets --format "\$(LABEL)|\$(REPO_URI)" 'Created-By: Packages' |
		awk -F'|' -v label="$1" '$1 == label { uri = $2 } END { print uri }')
	[[ $uri ]] || die "apt knows no mirror of $1: run apt-get update on a Debian system, or set $2"
	echo "${uri%/}"
}
main=$(mirror Debian DEBIAN_MIRROR)
security=$(mirror Debian-Security DEBIAN_SECURITY_MIRROR)
sources_a=("deb $main bookworm main")
sources_b=("${sources_a[@]}" "deb $main bookworm-updates main" "deb $security bookworm-security main")
[[ $pair != postgres ]] || sources_b=("${sources_a[@]}") # only PostgreSQL differs

if [[ $list ]]; then
	printf 'a: %s\n' "${sources_a[@]}"
	printf 'b: %s\n' "${sources_b[@]}"
	echo "installs minbase${packages:+,$packages}; packages and versions as recorded:"
	exec python3 "$here/check.py" --list "$pair"
fi

[[ ${2-} ]] || die "usage: rebuild.sh [--list] PAIR OUTDIR"
((EUID == 0)) || die "needs root: the images hold files of several owners"
mkdir -p "$2"
out=$(cd "$2" && pwd)
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
mkdir "$work/tmp"
export TMPDIR=$work/tmp

# finish SIDE TREE: what makes it a tree of this pair beyond its Debian packages
finish() {
	case $pair in
		redis | nginx) "$here/slim.sh" "$2" "$pair" ;;
		postgres) "$here/postgres.sh" "$2" "$([[ $1 == a ]] && echo 16.1.1-beta.11 || echo 16.2.0-beta.11)" ;;
	esac
}

# tree SIDE SOURCE...: $work/SIDE, an installed system. What mmdebstrap mounts goes with its private mount namespace.
tree() {
	local dir=$work/$1 options=(${packages:+--include="$packages"}) path
	for path in doc man locale info lintian bug; do options+=(--dpkgopt="path-exclude=/usr/share/$path/*"); done
	SOURCE_DATE_EPOCH=1780000000 unshare --mount --propagation private \
		mmdebstrap --quiet --mode=root --variant=minbase --architectures=amd64 "${options[@]}" \
		--aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Retries "3"' bookworm "$dir" "${@:2}"
	dpkg-query --admindir="$dir/var/lib/dpkg" --show --showformat='${Package} ${Version}\n' >"$out/$1.packages"
	rm -rf "$dir"/var/cache/apt/* "$dir"/var/lib/apt/lists/* "$dir"/var/cache/debconf/*-old "$dir"/var/log/*
	finish "$1" "$dir"
	# mmdebstrap copies both from the machine it runs on. The address is one for documentation (RFC 5737), as long as the recorded one:
	# a shorter file would move every inode behind it.
	echo vm >"$dir/etc/hostname"
	if [[ ${RESOLV_CONF-} ]]; then cat "$RESOLV_CONF"; else echo 'nameserver 198.51.100.53'; fi >"$dir/etc/resolv.conf"
	chmod 755 "$dir/etc/hostname" "$dir/etc/resolv.conf"
}

# image NAME UUID_END TREE [OPTION...]
image() { "${mkfs:-mkfs.erofs}" --quiet -T0 -U "00000000-0000-4000-8000-00000000000$2" "${@:4}" "$out/$1.erofs" "$work/$3"; }

mkfs_fp=${MKFS_FP:-mkfs.erofs}
version=$(mkfs.erofs -V 2>&1 | grep -om1 '[0-9]\+\.[0-9.]\+' || true) # 1.5 has no -V, but heads its complaint with its version
[[ $version == 1.5 ]] || echo "mkfs.erofs $version lays images out unlike the 1.5 of the recorded ones: only their contents can be the same"
rm -f "$out"/{a,b}.{plain,lz4hc,fp}.erofs "$out/merged.erofs"
for side in a b; do
	declare -n sources=sources_$side
	tree $side "${sources[@]}"
	image $side.plain 1 $side
	image $side.lz4hc 2 $side -zlz4hc
	if [[ $("$mkfs_fp" --help 2>&1) == *--xattr-inode-digest* ]]; then
		mkfs=$mkfs_fp image $side.fp 3 $side --xattr-inode-digest=trusted.erofs.fingerprint
	fi
done
mkdir "$work/merged"
mv "$work"/{a,b} "$work/merged"
hardlink --quiet --ignore-time "$work/merged" # not --content: mode and owner belong to the inode
image merged 4 merged

status=0
python3 "$here/check.py" "$pair" "$out" || status=$?
cd "$here/../.."
if [[ -f dist/cli.js ]]; then # built: which files differ, if any
	for side in a b; do node scripts/images/compare.mjs "$out/$side.plain.erofs" "traces/$pair/$side.fidx" || (($? == 1)); done
fi
exit $status
