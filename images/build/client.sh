# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154 # variables of carrel-image-build
#
# The image of the PCs. Nothing is installed: of the unpacked packages it has what the recipe names and
# what its programs are linked to, so that a PC fetches little; the initramfs is client-initrd's.

client_build() {
	client_unpack
	say "tree: programs, libraries, modules"
	client_folders "$work/tree"
	client_files
	tree_overlay
	client_programs
	tree_hooks '[0-4]'
	tree_trim
	tree_hooks '[5-9]'
	client_libraries
	client_firmware
	drivers_build
	# nobody becomes root by a file, and everybody may read
	chmod -R u=rwX,go=rX,a-s "$work/tree"
	say "tree: $(du -sm "$work/tree" | cut -f1) MB"
	client_initramfs
}

# /bin and the like are links into /usr before anything is put there, as Debian has them.
client_folders() { # TREE
	for folder in bin sbin lib lib64; do
		mkdir -p "$1/usr/$folder"
		ln -s "usr/$folder" "$1/$folder"
	done
}

# What the packages hold, into "$work/unpacked"; no script of theirs runs.
client_unpack() {
	packages_repository
	say "packages: unpacking"
	client_folders "$work/unpacked"
	while read -r _ _ file _; do
		[ "$file" != "$kernel_deb" ] || continue
		dpkg-deb --fsys-tarfile "$debs/$file" >"$work/package.tar" || die "$debs/$file: cannot be unpacked"
		tar -x --keep-directory-symlink --no-same-owner --exclude='./usr/share/doc' --exclude='./usr/share/man' \
			-C "$work/unpacked" -f "$work/package.tar" || die "$debs/$file: cannot be unpacked"
	done <"$work/lock"
	rm -f "$work/package.tar"
}

# What the recipe's `files` name.
client_files() {
	recipe_lines files >"$work/files"
	while IFS="$tab" read -r place pattern; do
		[ "$pattern" != --- ] || continue
		found=no
		# shellcheck disable=SC2231 # a pattern
		for path in "$work/unpacked"$pattern; do
			[ -e "$path" ] || [ -L "$path" ] || continue
			found=yes at=${path#"$work/unpacked"}
			mkdir -p "$work/tree${at%/*}"
			cp -a "$path" "$work/tree${at%/*}/"
		done
		[ $found = yes ] || die "$place: no package of the recipe has \"$pattern\""
	done <"$work/files"
}

# What is Carrel's own in it, and what the kernel needs places for.
client_programs() {
	for folder in dev proc sys run tmp etc/carrel; do
		mkdir -p "$work/tree/$folder"
	done
	strip -o "$work/tree/usr/bin/carrel-viewer" "$(program carrel-viewer)"
	strip -o "$work/tree/usr/sbin/init" "$(program carrel-root-init)"
	chmod 755 "$work/tree/usr/bin/carrel-viewer" "$work/tree/usr/sbin/init"
	cp -L "$ca" "$work/tree/etc/carrel/ca.crt"
}

# The libraries that the loader takes for the tree's programs, and the loader, from the packages. The
# packages' own loader says which: this machine's libraries may be other ones.
client_libraries() {
	find "$work/tree" -type f -perm -u+x ! -name '*.so' ! -name '*.so.*' >"$work/programs"
	while read -r path; do
		loader=$(readelf -lW "$path" 2>/dev/null | sed -n 's/.*program interpreter: \(.*\)\]$/\1/p')
		[ -n "$loader" ] || continue # a script, or static
		at=${path#"$work/tree"}
		mkdir -p "$work/unpacked${at%/*}"
		cp "$path" "$work/unpacked$at"
		[ -e "$work/unpacked$loader" ] || die "$recipe/packages: no package has $loader, which $at is started by: name libc6"
		chroot "$work/unpacked" "$loader" --list "$at" >"$work/libraries" 2>&1 ||
			die "$recipe/packages: no package has a library that $at needs ($(
				sed -n 's/.*shared libraries: //p' "$work/libraries")): name the package that has it"
		{
			echo "$loader"
			grep -o '/[^ :]*' "$work/libraries"
		} | sort -u >"$work/wanted"
		while read -r library; do
			mkdir -p "$work/tree${library%/*}"
			cp -L "$work/unpacked$library" "$work/tree$library"
		done <"$work/wanted"
	done <"$work/programs"
}

# The folder with the cards' firmware, or nothing.
client_firmware() {
	given=$firmware
	[ -n "$given" ] || firmware=$work/unpacked/usr/lib/firmware
	[ -z "$(find "$firmware" -type f 2>/dev/null | head -n 1)" ] || return 0
	firmware=
	[ -z "$given" ] || return 0
	say "no firmware: apt knows none of the packages in the recipe's list. PCs with AMD graphics will show the screen of"
	say "their firmware. Add non-free-firmware to apt's sources and run apt-get update, or give --firmware DIR"
}

client_initramfs() {
	kernel_depends modules
	recipe_items modules >"$work/initrd.list"
	"$client_initrd/build" --kernel "$kernel_dir" --init "$(program carrel-init)" --modules "$work/initrd.list" \
		--out "$work/initrd" ${firmware:+--firmware "$firmware"} || die "the initramfs cannot be made: $(tail -n 2 "$log")"
	say "initrd: $(size_mb "$work/initrd") MB"
}

# What a PC fetches, by BIOS, until the login form is there; more than 40 MB is a mistake.
client_weigh() {
	total=0
	say "bytes over the wire:"
	for file in /usr/lib/PXELINUX/lpxelinux.0 /usr/lib/syslinux/modules/bios/ldlinux.c32 \
		"$kernel_file" "$work/initrd" "$root"; do
		[ -e "$file" ] || continue # no boot server
		size=$(stat -c %s "$file")
		total=$((total + size))
		say "$(printf '%10d  %s' "$size" "${file##*/}")"
	done
	say "$(printf '%10d  together' $total)"
	drivers_weigh
	[ $total -le 40000000 ] ||
		die "$total bytes are more than the 40 MB that a PC may fetch: take something out of the recipe's files, overlay or modules"
}

# The certificate of the site's CA, by which the viewer knows the broker.
client_check_ca() {
	[ -r "$ca" ] || die "the CA's certificate $ca cannot be read: make it with carrel-pki init, or give --ca FILE"
	grep -q 'BEGIN CERTIFICATE' "$ca" || die "--ca $ca: is no certificate in PEM form"
	if grep -q 'PRIVATE KEY' "$ca"; then
		die "--ca $ca: holds a private key, which must not reach the PCs: give the certificate alone"
	fi
}
