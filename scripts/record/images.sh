#!/bin/bash
# images.sh OUTDIR [SERVICE…]: for each service two EROFS images of a minimal Debian bookworm with it:
#   a = the last point release, b = the same packages with updates and security fixes, of the day the script runs.
# Leaves OUTDIR/SERVICE/{a,b}.erofs, and {a,b}.packages with every version. Needs root, mmdebstrap, erofs-utils. See README.md.
set -euo pipefail
export LC_ALL=C
umask 022

declare -A packages=(
	[redis]=redis-server
	[nginx]=nginx-light
	[postgres]=postgresql-15
	[python]=python3
	[node]=nodejs
	[java]=ant
)

die() { echo "${0##*/}: $*" >&2; exit 2; }
[[ ${1-} ]] || die "usage: images.sh OUTDIR [SERVICE…]"
((EUID == 0)) || die "needs root: the images hold files of several owners"
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift

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

# tree SERVICE SIDE SOURCE…
tree() {
	local dir=$work/tree options=() path
	for path in doc man locale info lintian bug; do options+=(--dpkgopt="path-exclude=/usr/share/$path/*"); done
	# update-alternatives links manual pages beside programs, and Java's packages fail where there is no folder for them.
	options+=(--essential-hook='mkdir -p "$1/usr/share/man/man1"')
	SOURCE_DATE_EPOCH=1780000000 unshare --mount --propagation private \
		mmdebstrap --quiet --mode=root --variant=essential --architectures=amd64 --include="${packages[$1]}" "${options[@]}" \
		--aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Retries "3"' bookworm "$dir" "${@:3}"
	dpkg-query --admindir="$dir/var/lib/dpkg" --show --showformat='${Package} ${Version}\n' >"$out/$1/$2.packages"
	rm -rf "$dir"/var/cache/apt/* "$dir"/var/lib/apt/lists/* "$dir"/var/cache/debconf/*-old "$dir"/var/log/*
	echo container >"$dir/etc/hostname"
	echo 'nameserver 198.51.100.53' >"$dir/etc/resolv.conf" # an address for documentation, RFC 5737
}

for service in "${@:-redis nginx postgres python node java}"; do
	for name in $service; do
		[[ ${packages[$name]-} ]] || die "there is no service $name: ${!packages[*]}"
		mkdir -p "$out/$name"
		for side in a b; do
			work=$(mktemp -d "$out/work.XXXXXX")
			trap 'rm -rf --one-file-system "$work"' EXIT
			mkdir "$work/tmp"
			declare -n sources=sources_$side
			TMPDIR=$work/tmp tree "$name" $side "${sources[@]}"
			uuid=00000000-0000-4000-8000-0000000000$([[ $side == a ]] && echo 0a || echo 0b)
			mkfs.erofs --quiet -T0 -U "$uuid" "$out/$name/$side.erofs" "$work/tree"
			rm -rf --one-file-system "$work"
		done
	done
done
