# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154 # variables of carrel-image-build
#
# The bill of materials: SPDX 2.3 as JSON, from the lock and what the packages say of themselves. It
# has no time of its own making (equal inputs give equal bytes): "created" is that of all files.

sbom_make() { # FILE
	awk -v lock="$work/lock" -v image="$RECIPE_name" -v kind="$RECIPE_kind" -v suite="$RECIPE_suite" \
		-v inputs="$inputs" -v created="$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)" '
	function text(value) { # a JSON string
		gsub(/\\/, "\\\\", value); gsub(/"/, "\\\"", value); gsub(/[\001-\037]/, " ", value)
		return "\"" value "\""
	}
	function purl(value) {
		gsub(/%/, "%25", value); gsub(/:/, "%3A", value); gsub(/\+/, "%2B", value)
		return value
	}
	function id(value) { # letters, digits, . and -
		gsub(/[^A-Za-z0-9.-]/, "-", value)
		return "SPDXRef-" value
	}
	function package_end(  n) {
		if (name == "")
			return
		n = order[sha]
		if (!n) {
			print "no line of the lock for " name >"/dev/stderr"
			exit failed = 1
		}
		ids[n] = id(n "-" name)
		lines[n] = sprintf("  {\"SPDXID\":%s,\"name\":%s,\"versionInfo\":%s,\"packageFileName\":%s,\n" \
			"   \"originator\":%s,\"sourceInfo\":%s,%s\n" \
			"   \"downloadLocation\":%s,\"filesAnalyzed\":false,\"checksums\":[{\"algorithm\":\"SHA256\",\"checksumValue\":\"%s\"}],\n" \
			"   \"licenseConcluded\":\"NOASSERTION\",\"licenseDeclared\":\"NOASSERTION\",\"copyrightText\":\"NOASSERTION\",\n" \
			"   \"externalRefs\":[{\"referenceCategory\":\"PACKAGE-MANAGER\",\"referenceType\":\"purl\",\"referenceLocator\":%s}]}",
			text(ids[n]), text(name), text(version), text(files[n]), text("Organization: " maintainer),
			text("source package " (source == "" ? name : source)),
			homepage == "" ? "" : "\"homepage\":" text(homepage) ",", text(address[n]), sha,
			text("pkg:deb/debian/" purl(name) "@" purl(version) "?arch=" arch "&distro=" suite))
		name = version = source = homepage = maintainer = arch = sha = ""
	}
	BEGIN {
		while ((getline line <lock) > 0) {
			split(line, field, " ")
			order[field[1]] = ++total
			files[total] = field[3]
			address[total] = field[4]
		}
	}
	{ key = $1; value = substr($0, length($1) + 2) }
	key == "Package:" { name = value }
	key == "Version:" { version = value }
	key == "Architecture:" { arch = value }
	key == "Maintainer:" { maintainer = value }
	key == "Source:" { source = value }
	key == "Homepage:" && value ~ /^https?:\/\/[^ ]+$/ { homepage = value }
	key == "SHA256:" { sha = value }
	/^$/ { package_end() }
	END {
		if (failed)
			exit 1
		package_end()
		printf "{\"spdxVersion\":\"SPDX-2.3\",\"dataLicense\":\"CC0-1.0\",\"SPDXID\":\"SPDXRef-DOCUMENT\",\n"
		printf " \"name\":%s,\"documentNamespace\":%s,\n", text(image), text("urn:carrel:sbom:" image ":" inputs)
		printf " \"creationInfo\":{\"created\":\"%s\",\"creators\":[\"Tool: carrel-image-build\"]},\n", created
		printf " \"packages\":[\n  {\"SPDXID\":\"SPDXRef-Image\",\"name\":%s,\"versionInfo\":\"%s\",\"downloadLocation\":\"NOASSERTION\",\"filesAnalyzed\":false,\n", text(image), inputs
		printf "   \"licenseConcluded\":\"NOASSERTION\",\"licenseDeclared\":\"NOASSERTION\",\"copyrightText\":\"NOASSERTION\",\"primaryPackagePurpose\":\"OPERATING-SYSTEM\"}"
		for (n = 1; n <= total; n++) {
			if (lines[n] == "")
				exit 1
			printf ",\n%s", lines[n]
		}
		printf "],\n \"relationships\":[\n  {\"spdxElementId\":\"SPDXRef-DOCUMENT\",\"relationshipType\":\"DESCRIBES\",\"relatedSpdxElement\":\"SPDXRef-Image\"}"
		for (n = 1; n <= total; n++)
			printf ",\n  {\"spdxElementId\":\"SPDXRef-Image\",\"relationshipType\":\"CONTAINS\",\"relatedSpdxElement\":%s}", text(ids[n])
		printf "]}\n"
	}' "$work/index" >"$1" || die "the bill of materials cannot be made: $(tail -n 1 "$log")"
}
