# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154 # variables of carrel-image-build
#
# The pack of drivers of the PCs' image ("The pack of drivers" in docs/protocols.md), and which firmware
# there is: the folder of --firmware, else what the packages have that the recipe's `firmware` names.

# The tree's modules are those of modules.root; those that `drivers` names, with what only they need, are
# in the pack "$work/drivers.pack", and with them the firmware for which any of them may ask. The tree
# gets the pack's index, and tables of modules that name both.
drivers_build() {
	kernel_depends modules.root
	kernel_depends drivers
	recipe_items drivers >"$work/drivers.list"
	recipe_items modules.root | grep -vxF -f "$work/drivers.list" >"$work/root.list" || :
	drivers_copy "$work/root.list" "$work/tree"
	[ -s "$work/drivers.list" ] || return 0
	cat "$work/root.list" "$work/drivers.list" >"$work/all.list"
	drivers_copy "$work/all.list" "$work/all"
	all=$work/all/lib/modules/$kernel_release
	own=$work/tree/lib/modules/$kernel_release
	cp "$all/modules.dep" "$all/modules.alias" "$own/"
	drivers_pack
	mkdir -p "$work/tree/usr/lib/carrel"
	cp "$work/drivers.index" "$work/tree/usr/lib/carrel/drivers"
}

drivers_copy() { # LIST ROOT
	"$client_initrd/copy-modules" "$kernel_dir" "$1" "$2" || die "the modules cannot be copied: $(tail -n 2 "$log")"
}

# "$work/drivers.pack" and "$work/drivers.index".
drivers_pack() {
	say "drivers"
	offset=0
	: >"$work/drivers.pack"
	: >"$work/drivers.index"
	(cd "$all" && find kernel -name '*.ko' | sort) >"$work/modules"
	while read -r path; do
		[ -e "$own/$path" ] || drivers_add "modules/$path" "$all/$path"
	done <"$work/modules"
	[ -n "$firmware" ] || return 0
	"$client_initrd/list-firmware" "$work/all" "$firmware" >"$work/firmware"
	while read -r path; do
		drivers_add "firmware/$path" "$firmware/$path"
		# Debian's radeon and amdgpu leave the screen alone where there is no such folder.
		mkdir -p "$(dirname "$work/tree/usr/lib/firmware/$path")"
	done <"$work/firmware"
}

# What is there already, under another name, is there once.
drivers_add() { # PATH-IN-PACK FILE
	zstd -q -19 -T1 <"$2" >"$work/packed"
	sum=$(sha256sum <"$work/packed" | cut -d' ' -f1)
	size=$(stat -c %s "$work/packed")
	at=$(awk -v sum="$sum" '$4 == sum { print $1; exit }' "$work/drivers.index")
	if [ -z "$at" ]; then
		at=$offset
		cat "$work/packed" >>"$work/drivers.pack"
		offset=$((offset + size))
	fi
	printf '%s %s %s %s %s\n' "$at" "$size" "$(stat -Lc %s "$2")" "$sum" "$1" >>"$work/drivers.index"
}

# What a PC fetches of the pack, by its cards.
drivers_weigh() {
	[ -e "$work/drivers.pack" ] || return 0
	say "$(printf '%10d  drivers.pack, of which a PC fetches what its cards need:' "$(stat -c %s "$work/drivers.pack")")"
	awk '{ path = $5; sub(".*/", "", path); if ($5 ~ /^modules/) printf "%10d  %s\n", $2, path }' "$work/drivers.index" |
		sort -rn >"$work/weights"
	awk '$5 ~ /^firmware/ { files++; if (!seen[$1]++) bytes += $2 }
		END { printf "%10d  of firmware, in %d files\n", bytes, files }' "$work/drivers.index" >>"$work/weights"
	while IFS= read -r line; do
		say "$line"
	done <"$work/weights"
}
