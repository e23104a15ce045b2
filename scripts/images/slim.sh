#!/bin/bash
# slim.sh TREE SERVICE: prune an installed Debian system to a service image: no package manager, perl, documentation, time zones or user management
set -euo pipefail
shopt -s extglob nullglob
cd "$1"
lib=usr/lib/x86_64-linux-gnu

# Packages that go whole, or nearly
rm -rf usr/share/!(apport|base-files|debianutils|dict|libc-bin|libgcrypt20|misc|nginx|pam|pam-configs|terminfo|vim) \
	usr/lib/!(locale|os-release|terminfo|usrmerge|x86_64-linux-gnu) $lib/{e2fsprogs,gconv,perl,perl-base} \
	etc/{apt,cron.*,default/useradd,dpkg,init.d,kernel,logrotate.d,perl,rc?.d,skel,systemd,terminfo} \
	usr/sbin/!(add-shell|arpd|blockdev|bridge|capsh|chcpu|chmem|chroot|dcb|devlink|faillock|fstab-decode|genl|getcap|getpcaps|ip|killall5|mkhomedir_helper|nginx|rtacct|rtmon|setcap|tc|tipc|vdpa) \
	var/lib/{apt,pam,systemd} var/lib/dpkg/{alternatives,info,parts,triggers} var/cache/* var/log/*
mkdir "var/log/$2"

# Commands: apt, dpkg and debconf; perl; libc-bin and ncurses-bin; passwd and login; util-linux; shells
cd usr/bin
rm -rf apt* deb* dpkg* gpgv \
	corelist cpan* enc2xs encguess h2?? instmodsh json_pp libnetcfg perl* piconv pl2pm pod* prove ptar* shasum splain streamzip xsubpp zipdetails \
	getconf iconv infocmp localedef pldd tic toe tput tset zdump \
	chage chfn chsh expiry faillog gpasswd lastlog login newgrp passwd sg su \
	{add,del,resize}part partx choom chrt fallocate fincore findmnt flock getopt hardlink i386 ionice ipc* last lastb linux?? ls!(|attr) mcookie mesg mount \
	mountpoint namei nsenter prlimit rename.ul script* setarch setpriv setsid setterm taskset uclampset umount unshare utmpdump wall whereis x86_64 \
	bashbug rbash uncompress
cd - >/dev/null

# Shared libraries that nothing left needs: the tree's own loader says which are needed; the C library loads those excepted here by name
declare -A needed
while read -r path; do
	needed[${path##*/}]=1
	needed[$(basename "$(chroot . readlink -f "$path")")]=1
done < <(find usr/bin usr/sbin $lib/*/ -type f -exec chroot . /lib64/ld-linux-x86-64.so.2 --list /{} \; 2>/dev/null | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | sort -u)
for path in "$lib"/!(ld-linux*|libgcc_s|libnss_*|libresolv).so*; do
	[[ ${needed[${path##*/}]-} ]] || rm "$path"
done
