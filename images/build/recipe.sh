# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154 # variables of carrel-image-build
#
# Recipes: the chain of a recipe and its bases, the keys as RECIPE_key, and where each was given as
# AT_key. All that can be known of a mistake without building is told here, with file and line.

recipe_keys='name kind suite kernel locales language timezone keyboard session drawn memory_min sudo upper compression cmdline handoff rehearse'
# Those that a recipe of kind client has.
recipe_client_keys='name kind suite kernel compression cmdline'
# The files of lists of each kind.
recipe_client_lists='packages files modules modules.root drivers firmware trim'
recipe_desktop_lists='packages modules mask trim'
nl='
'
tab=$(printf '\t')

# Fills in `chain`: the folders, base first, one a line. $1: folder; $2: who asked.
recipe_chain() {
	chain='' asked=$2 seen=$nl folder=$1 trail=
	while :; do
		[ -r "$folder/recipe" ] || die "$asked: $folder has no file named recipe"
		folder=$(readlink -f "$folder")
		trail="$trail${trail:+ -> }${folder##*/}"
		case $seen in *"$nl$folder$nl"*) die "$asked: the bases of this recipe go in a circle: $trail" ;; esac
		seen="$seen$folder$nl"
		chain="$folder$nl$chain"
		found=$(awk '/^[[:space:]]*base[[:space:]]*=/ {
			sub(/^[^=]*=[[:space:]]*/, ""); sub(/[[:space:]]*$/, ""); print FNR ":" $0; exit }' "$folder/recipe")
		[ -n "$found" ] || break
		asked="$folder/recipe:${found%%:*}"
		base=${found#*:}
		case $base in */* | .* | '') die "$asked: base is \"$base\"; it must be the name of a recipe's folder" ;; esac
		if [ -d "$folder/../$base" ]; then
			folder=$folder/../$base
		elif [ -d "$recipes/$base" ]; then
			folder=$recipes/$base
		else
			die "$asked: there is no recipe \"$base\" beside this one or in $recipes"
		fi
	done
}

# The lines of one kind of file (packages, modules, ...) of the whole chain, without comments,
# as FILE:LINE, a tab, and the text; between files a line whose text is ---.
recipe_lines() { # KIND
	printf '%s' "$chain" | while IFS= read -r folder; do
		[ -e "$folder/$1" ] || continue
		awk '{ sub(/#.*/, ""); gsub(/^[[:space:]]+|[[:space:]]+$/, "") }
			FNR == 1 { print FILENAME ":0\t---" }
			$0 != "" { print FILENAME ":" FNR "\t" $0 }' "$folder/$1"
	done
}

# The texts alone.
recipe_items() { # KIND
	recipe_lines "$1" | cut -f2 | grep -vx -e --- || :
}

# Where a text stands, the last place of it.
recipe_where() { # KIND TEXT
	recipe_lines "$1" | awk -F '\t' -v text="$2" '$2 == text { at = $1 } END { print at }'
}

# Exports one "key = value".
recipe_key() { # PLACE LINE
	case $2 in *=*) ;; *) die "$1: \"$2\" is not of the form key = value" ;; esac
	key=$(printf '%s' "${2%%=*}" | tr -d ' \t')
	value=$(printf '%s' "${2#*=}" | sed -e 's/^[[:space:]]*//' -e 's/[[:space:]]*$//')
	[ "$key" != base ] || die "$1: base can only be given in the file of a recipe, once"
	case " $recipe_keys " in
	*" $key "*) ;;
	*) die "$1: unknown key \"$key\"; known keys: base $recipe_keys" ;;
	esac
	[ -n "$value" ] || die "$1: the key \"$key\" has no value"
	eval "place=\${AT_$key-}"
	[ "${place%:*}" != "${1%:*}" ] || [ "$1" = --set ] || die "$1: the key \"$key\" is given a second time (first: $place)"
	export "RECIPE_$key=$value"
	eval "AT_$key=\$1"
}

recipe_load() {
	RECIPE_handoff=hard RECIPE_keyboard=us RECIPE_rehearse=yes RECIPE_drawn=window
	export RECIPE_handoff RECIPE_keyboard RECIPE_rehearse RECIPE_drawn
	while IFS= read -r folder; do
		[ -n "$folder" ] || continue
		unset RECIPE_name
		number=0 based=no
		while IFS= read -r line || [ -n "$line" ]; do
			number=$((number + 1))
			case $(printf '%s' "$line" | tr -d ' \t') in
			'' | '#'*) continue ;;
			base=*)
				[ $based = yes ] || { based=yes && continue; }
				;;
			esac
			recipe_key "$folder/recipe:$number" "$line"
		done <"$folder/recipe"
		recipe=$folder # in the end the recipe itself, not a base
	done <<-END
	$chain
	END
	while IFS= read -r line; do
		[ -z "$line" ] || recipe_key --set "$line"
	done <<-END
	$settings
	END
	[ -z "${RECIPE_kind-}" ] || recipe_allow kind 'client|desktop' 'client (the RAM disk of the PCs), desktop'
	[ "${RECIPE_kind-}" != client ] || recipe_drop_desktop_keys
	for key in $recipe_keys; do
		eval "value=\${RECIPE_$key-}"
		[ -n "$value" ] || die "$recipe/recipe: the key \"$key\" is missing"
	done
}

# The keys are those of a client from here on.
recipe_drop_desktop_keys() {
	for key in $recipe_keys; do
		case " $recipe_client_keys " in *" $key "*) continue ;; esac
		eval "place=\${AT_$key-}"
		[ -z "$place" ] || die "$place: a recipe of kind client has no key \"$key\"; its keys: base $recipe_client_keys"
		unset "RECIPE_$key"
	done
	recipe_keys=$recipe_client_keys
}

# One key against what is allowed, an extended regular expression.
recipe_allow() { # KEY PATTERN ALLOWED
	eval "value=\$RECIPE_$1 place=\${AT_$1-}"
	printf '%s\n' "$value" | grep -Eqx -e "$2" || die "$place: $1 is \"$value\"; allowed: $3"
}

recipe_check() {
	recipe_allow name '[a-z0-9][a-z0-9-]{0,62}' 'small letters, digits and -'
	recipe_allow suite '[a-z0-9][a-z0-9-]*' 'the code name of a suite, such as bookworm'
	recipe_allow kernel '[a-z0-9][a-z0-9.+-]*' 'a package, such as linux-image-amd64'
	recipe_allow cmdline '[^"\\[:cntrl:]]*' 'no quotation mark and no backslash'
	"recipe_check_$RECIPE_kind"
	recipe_check_lines packages '[a-z0-9][a-z0-9.+-]+' 'the name of a package, or --- for a new layer'
	recipe_check_lines modules '[A-Za-z0-9_-]+' 'the name of a kernel module'
	recipe_check_paths trim
	while IFS= read -r folder; do
		for hook in "$folder"/hooks/*.sh; do
			[ ! -e "$hook" ] || [ -x "$hook" ] || die "$hook: a hook must be executable: chmod +x $hook"
		done
	done <<-END
	$chain
	END
	label=$RECIPE_name
}

recipe_check_desktop() {
	recipe_allow sudo 'yes|no' 'yes, no'
	recipe_allow handoff 'hard|live' 'hard, live'
	recipe_allow rehearse 'yes|no' 'yes, no'
	recipe_allow drawn 'window|desktop' 'window, desktop'
	recipe_allow keyboard '[a-z]{2,12}(\([A-Za-z0-9_][A-Za-z0-9_-]{0,30}\))?' 'an X layout with or without a variant, such as us, kr or de(nodeadkeys)'
	recipe_allow memory_min '[1-9][0-9]{2,6}' 'MiB, at least 100'
	recipe_allow upper '[1-9][0-9]?%|[1-9][0-9]*[kmg]' 'a part of memory such as 40%, or a size such as 300m'
	recipe_allow language '[A-Za-z_]+\.UTF-8' 'a UTF-8 locale, such as ko_KR.UTF-8'
	recipe_allow locales '[A-Za-z_]+\.UTF-8( [A-Za-z_]+\.UTF-8)*' 'UTF-8 locales, such as en_US.UTF-8 ko_KR.UTF-8'
	recipe_allow compression '(lz4|lz4hc)(,[0-9]+)?' 'what mkfs.erofs -z takes: lz4, lz4hc, lz4hc,9'
	recipe_allow session '[^[:cntrl:]]*' 'one line: the name of a desktop session, or a command'
	[ -n "$(recipe_items modules)" ] || die "$recipe/modules: there is no module: without virtio_blk, dm_verity and erofs no desktop starts"
	if [ "$RECIPE_handoff" = live ] && [ -z "$(recipe_where modules virtio_balloon)" ]; then
		die "${AT_handoff-}: handoff = live needs the module virtio_balloon, which $recipe/modules lacks"
	fi
	recipe_check_lines mask 'generators|udev [^ /]+\.rules|unit [^ /]+\.(service|socket|target|mount|automount|path|timer|slice|swap)' \
		'unit NAME (with its suffix), udev NAME.rules, generators'
	recipe_check_lists "$recipe_client_lists" "$recipe_desktop_lists"
}

recipe_check_client() {
	recipe_allow compression 'zstd(,([1-9]|1[0-9]|2[0-2]))?|xz|lz4' 'of squashfs: zstd, zstd,1 to zstd,22, xz, lz4'
	[ -n "$(recipe_items modules)" ] || die "$recipe/modules: there is no module: without squashfs, dm_verity and network cards no PC starts"
	recipe_check_lines modules.root '[A-Za-z0-9_-]+' 'the name of a kernel module'
	recipe_check_lines drivers '[A-Za-z0-9_-]+' 'the name of a kernel module'
	recipe_check_lines firmware '[a-z0-9][a-z0-9.+-]+' 'the name of a package'
	recipe_check_paths files
	recipe_check_lists "$recipe_desktop_lists" "$recipe_client_lists"
}

# A list that only the other kind of recipe has would say nothing here.
recipe_check_lists() { # ALL OWN
	for list in $1; do
		case " $2 " in *" $list "*) continue ;; esac
		place=$(recipe_lines "$list" | head -n 1 | cut -f1)
		[ -z "$place" ] || die "${place%:*}: a recipe of kind $RECIPE_kind has no $list; its lists: $2"
	done
}

recipe_check_paths() { # KIND
	recipe_check_lines "$1" '/[^[:space:]]+' 'a path or shell pattern that begins with /'
	bad=$(recipe_lines "$1" | grep -m 1 -E '/\.\.(/|$)' || :)
	[ -z "$bad" ] || die "${bad%%"$tab"*}: \"${bad#*"$tab"}\" must not have .. in it"
}

recipe_check_lines() { # KIND PATTERN ALLOWED
	bad=$(recipe_lines "$1" | awk -F '\t' '$2 != "---"' | grep -Evm 1 -e "$tab($2)\$") || return 0
	die "${bad%%"$tab"*}: \"${bad#*"$tab"}\" is not known; allowed: $3"
}

# One sum over the recipe's own files and those of its bases.
recipe_hash() {
	printf '%s' "$chain" | while IFS= read -r folder; do
		(
			cd "$folder"
			find . \( -type f -o -type l \) -printf '%P %m %l\n' | sort
			find . -type f -print0 | sort -z | xargs -0 sha256sum
		)
	done | sha256sum | cut -d' ' -f1
}
