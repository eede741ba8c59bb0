#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs first in a lab server's own mount, host name, IPC, process and network namespaces: gives it
# folders of its own for all that libvirt writes, then leaves the rest to lab-server.
# usage: server-init.sh DIR NAME VOLUMES_DIR MEMORY_MIB (empty: what the machine has)
set -eu

dir=$1
name=$2
volumes=$3
memory=$4

mount --make-rprivate /
mount -t proc proc /proc
hostname "$name"

# Folders that the machine itself does not have are made on an overlay of the folder above them, so
# that nothing appears outside. All overlays come before all binds, which they would hide.
mount_points() # PARENT FOLDER...
{
	parent=$1
	shift
	missing=no
	for folder in "$@"; do
		[ -d "$parent/$folder" ] || missing=yes
	done
	if [ "$missing" = yes ]; then
		upper=$dir/over$(printf '%s' "$parent" | tr / _)
		mkdir -p "$upper/up" "$upper/work"
		mount -t overlay overlay \
			-o "lowerdir=$parent,upperdir=$upper/up,workdir=$upper/work" "$parent"
	fi
	for folder in "$@"; do
		mkdir -p "$parent/$folder" "$dir/root$parent/$folder"
		mount --bind "$dir/root$parent/$folder" "$parent/$folder"
	done
}

# The users that the packages of a real server make; a copy, for this server alone.
accounts()
{
	cp /etc/passwd /etc/group "$dir/"
	grep -q '^kvm:' "$dir/group" || echo 'kvm:x:64054:' >>"$dir/group"
	grep -q '^libvirt-qemu:' "$dir/group" || echo 'libvirt-qemu:x:64055:' >>"$dir/group"
	grep -q '^libvirt-qemu:' "$dir/passwd" ||
		echo "libvirt-qemu:x:64055:$(sed -n 's/^kvm:[^:]*:\([0-9]*\):.*/\1/p' "$dir/group"):Libvirt Qemu:/var/lib/libvirt:/usr/sbin/nologin" >>"$dir/passwd"
	mount --bind "$dir/passwd" /etc/passwd
	mount --bind "$dir/group" /etc/group
}

# As udev makes it on a real host: without access for QEMU's user libvirt probes QEMU anew, for
# seconds, at every start of a VM.
kvm_device()
{
	[ -c /dev/kvm ] || return 0
	rm -f "$dir/kvm"
	mknod -m 660 "$dir/kvm" c 10 232
	chown root:kvm "$dir/kvm"
	mount --bind "$dir/kvm" /dev/kvm
}

# What libvirt sees of the machine's memory: a small and steady figure, whatever the machine has.
memory_size()
{
	node=/sys/devices/system/node/node0/meminfo
	[ -n "$memory" ] || return 0
	sed "s/\(MemTotal:\).*/\1 $((memory * 1024)) kB/" "$node" >"$dir/meminfo"
	mount --bind "$dir/meminfo" "$node"
}

mount -t tmpfs -o mode=755 run /run
mkdir -p /run/lock /run/libvirt
mount_points /etc libvirt pki carrel
mount_points /var/lib libvirt carrel
mount_points /var/cache libvirt
mount_points /var/log libvirt
accounts
kvm_device
memory_size
mkdir -p /var/lib/carrel/volumes
mount --bind "$volumes" /var/lib/carrel/volumes
: >/run/carrel-lab-ready
exec sleep infinity
