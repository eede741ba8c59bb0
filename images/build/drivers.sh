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
	(cd "$all" && find kernel -name '*.ko' | sort) | while read -r path; do
		[ -e "$own/$path" ] || echo "modules/$path $all/$path"
	done >"$work/pieces"
	if [ -n "$firmware" ]; then
		"$client_initrd/list-firmware" "$work/all" "$firmware" >"$work/firmware"
		# Debian's radeon and amdgpu leave the screen alone where there is no such folder.
		sed "s|^|$work/tree/usr/lib/firmware/|; s|/[^/]*$||" "$work/firmware" | sort -u | xargs -r -d '\n' mkdir -p
		sed "s|.*|firmware/& $firmware/&|" "$work/firmware" >>"$work/pieces"
	fi
	drivers_squeeze
	drivers_index >"$work/drivers.index"
	xargs -r -d '\n' cat <"$work/packed" >"$work/drivers.pack"
}

# Each piece by itself, as "$work/squeezed" + its file + ".zst"; most are small, so many in a process.
drivers_squeeze() {
	cut -d' ' -f2 "$work/pieces" >"$work/files"
	xargs -r -d '\n' -P "$(nproc)" -n 32 zstd -q -f -19 -T1 --output-dir-mirror "$work/squeezed" <"$work/files" ||
		die "the drivers cannot be packed"
	xargs -r -d '\n' stat -L -c %s <"$work/files" >"$work/sizes"
	sed "s|.*|$work/squeezed&.zst|" "$work/files" >"$work/squeezed.files"
	xargs -r -d '\n' stat -c %s <"$work/squeezed.files" >"$work/squeezed.sizes"
	xargs -r -d '\n' sha256sum <"$work/squeezed.files" >"$work/sums"
}

# "OFFSET PACKED SIZE SHA256 PATH", and in "$work/packed" the files in the order of the pack: what is there
# already, under another name, is there once.
drivers_index() {
	: >"$work/packed"
	paste -d' ' "$work/pieces" "$work/sizes" "$work/squeezed.sizes" "$work/sums" |
		awk -v packed="$work/packed" '{
			size = $3; packed_size = $4; sum = $5
			if (!(sum in at)) { at[sum] = offset + 0; offset += packed_size; print $6 >packed }
			print at[sum], packed_size, size, sum, $1 }'
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
