# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154 # variables of carrel-image-build
#
# The kernel. The package is unpacked, not installed, once for each version. A VM starts about
# twice as quick from the uncompressed kernel (by its PVH entry), so that is what a desktop's image has;
# the PCs get the package's own, which is signed by Debian and small.

kernel_unpack() {
	kernel_dir=$cache/kernel-${kernel_deb%.deb}
	if [ ! -e "$kernel_dir/complete" ]; then
		say "kernel: unpacking $kernel_package"
		rm -rf "$cache"/kernel-*
		mkdir -p "$kernel_dir"
		dpkg-deb --fsys-tarfile "$debs/$kernel_deb" | tar -x -C "$kernel_dir" ./boot ./lib
		kernel_extract "$kernel_dir"/boot/vmlinuz-* "$kernel_dir/vmlinux"
		depmod -b "$kernel_dir" "$(ls "$kernel_dir/lib/modules")"
		touch "$kernel_dir/complete"
	fi
	kernel_release=$(ls "$kernel_dir/lib/modules")
	kernel_file=$kernel_dir/vmlinux
	[ "$RECIPE_kind" != client ] || kernel_file=$kernel_dir/boot/vmlinuz-$kernel_release
}

# The modules that a list of the recipe names, with those that they need, as modprobe says it.
kernel_depends() { # LIST
	: >"$work/depends"
	for module in $(recipe_items "$1"); do
		modprobe -d "$kernel_dir" -S "$kernel_release" --show-depends "$module" >>"$work/depends" 2>/dev/null ||
			die "$(recipe_where "$1" "$module"): the kernel $kernel_release has no module \"$module\""
	done
}

# An unsigned little-endian number of FILE at OFFSET, BYTES long.
number_at() {
	od -A n -t "u$3" -j "$2" -N "$3" "$1" | tr -d ' '
}

# FROM (a bzImage) TO: the ELF file inside. Linux, Documentation/x86/boot.rst: setup_sects at 0x1f1,
# payload_offset and payload_length at 0x248; the payload's last 4 bytes are the length of the result.
kernel_extract() {
	start=$((($(number_at "$1" 497 1) + 1) * 512 + $(number_at "$1" 584 4)))
	length=$(($(number_at "$1" 588 4) - 4))
	if ! tail -c "+$((start + 1))" "$1" | head -c "$length" | xz -dc >"$2" 2>/dev/null ||
		[ "$(head -c 4 "$2" | tail -c 3)" != ELF ]; then
		say "kernel: not compressed by xz, taken as it is"
		cp "$1" "$2"
	fi
}

# "$work/initrd": init and the recipe's modules with what they need, in the order of loading.
kernel_initrd() {
	tree=$work/initrd-tree
	mkdir -p "$tree/modules" "$tree/dev" "$tree/proc" "$tree/sys" "$tree/run" "$tree/sysroot"
	install -m 755 "$(program carrel-desktop-init)" "$tree/init"
	strip "$tree/init"
	kernel_depends modules
	sed -n 's/^insmod \([^ ]*\).*/\1/p' "$work/depends" | awk '!seen[$0]++' >"$work/modules"
	while read -r path; do
		cp "$path" "$tree/modules/"
		basename "$path" >>"$tree/modules/list"
	done <"$work/modules"
	find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	(cd "$tree" && find . -mindepth 1 -printf '%P\n' | sort |
		cpio --quiet -o -H newc --reproducible -R 0:0) >"$work/initrd"
	say "initrd: $(wc -l <"$work/modules") modules, $(size_mb "$work/initrd") MB"
}
