#!/bin/bash
# erofs-utils.sh SUITE DIR: put the erofs-utils of a Debian suite into DIR, the libraries they need beside them, and install nothing.
#   DIR/bin/{mkfs,fsck,dump}.erofs run them through the suite's own loader; DIR/version says which they are.
# apt works on lists, caches and a package status of its own, and checks signatures as it always does. The mirror is the one apt is
# configured with, or DEBIAN_MIRROR; a list takes some 10 MB, the packages some 15 MB.
set -euo pipefail
export LC_ALL=C

die() { echo "${0##*/}: $*" >&2; exit 2; }

[[ ${2-} ]] || die "usage: erofs-utils.sh SUITE DIR"
suite=$1
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[[ -e $keys ]] || die "no $keys: apt-get install debian-archive-keyring"
mirror=${DEBIAN_MIRROR-}
if [[ ! $mirror ]]; then
	# shellcheck disable=SC2016 # fields of apt-get
	mirror=$(apt-get indextargets --format '$(SITE) $(LABEL)' 'Created-By: Packages' | sed -n 's/ Debian$//p' | sort -u | head -1)
fi
[[ $mirror ]] || die "apt knows no Debian mirror: set DEBIAN_MIRROR or run apt-get update"

mkdir -p "$2"
out=$(cd "$2" && pwd)
if [[ -e $out/version ]]; then cat "$out/version"; exit; fi

apt=$(mktemp -d)
trap 'rm -rf "$apt"' EXIT
chmod 755 "$apt"
mkdir -p "$apt"/{parts,lists/partial,archives/partial}
echo "deb [signed-by=$keys] $mirror $suite main" >"$apt/sources.list"
: >"$apt/status"
fetch=(apt-get -qq
	-o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts="$apt/parts" -o Dir::Etc::PreferencesParts="$apt/parts"
	-o Dir::State="$apt" -o Dir::State::Lists="$apt/lists" -o Dir::State::Status="$apt/status"
	-o Dir::Cache="$apt" -o Dir::Cache::Archives="$apt/archives"
	-o Acquire::Languages=none -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false -o Acquire::Retries=3
	-o APT::Install-Recommends=false -o APT::Sandbox::User="$(id -un)")
"${fetch[@]}" update
# Onto an empty system apt's own solver downloads exactly what erofs-utils depends on.
"${fetch[@]}" --yes --download-only install erofs-utils >/dev/null

for deb in "$apt"/archives/*.deb; do dpkg-deb -x "$deb" "$out/root"; done
loader=$(find "$out/root" -name 'ld-linux-*.so.*' -print -quit)
[[ $loader ]] || die "no dynamic loader among $suite's packages"
libraries=${loader%/*}
mkdir -p "$out/bin"
for tool in mkfs fsck dump; do
	program=$(find "$out/root" -path "*bin/$tool.erofs" -print -quit)
	[[ $program ]] || die "$suite's erofs-utils has no $tool.erofs"
	printf '#!/bin/sh\nexec "%s" --library-path "%s" "%s" "$@"\n' "$loader" "$libraries" "$program" >"$out/bin/$tool.erofs"
	chmod 755 "$out/bin/$tool.erofs"
done
"$out/bin/mkfs.erofs" --version 2>&1 | sed -n '1s/.* //p' >"$out/version.part"
[[ -s $out/version.part ]] || die "mkfs.erofs doesn't run here"
mv "$out/version.part" "$out/version"
cat "$out/version"
