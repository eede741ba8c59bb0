#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The half of prepare-server that runs on the virtualization server, in a folder with the rendered
# templates and the certificates. Each step looks first, and changes only what differs.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
# CARREL_NAME, CARREL_ADDRESS, CARREL_BROKER, CARREL_BROKER_DN, CARREL_VOLUMES, CARREL_DRY_RUN,
# CARREL_PACKAGES, CARREL_SERVICES, CARREL_TIME
# shellcheck source=/dev/null
. "$here/settings"

images=/var/lib/carrel/images
changes=0
restart_libvirt=no
step=start

say()
{
	printf '%-12s %s\n' "$step" "$1"
}

# A failure names the step and what to do.
die()
{
	printf 'prepare-server: %s: step "%s" failed: %s\n' "$CARREL_NAME" "$step" "$1" >&2
	exit 1
}

dry()
{
	[ "$CARREL_DRY_RUN" = yes ]
}

# Says that something was, or would be, changed.
changed()
{
	changes=$((changes + 1))
	if dry; then
		say "would change: $1"
	else
		say "changed: $1"
	fi
}

same()
{
	say "ok (as it was): $1"
}

has_systemd()
{
	[ -d /run/systemd/system ]
}

# Installs a file when it differs. Returns 0 when it was, or would be, changed.
put() # SOURCE TARGET MODE OWNER:GROUP
{
	if [ -f "$2" ] && cmp -s "$1" "$2" && [ "$(stat -c %a:%U:%G "$2")" = "$3:$4" ]; then
		same "$2"
		return 1
	fi
	if ! dry; then
		mkdir -p "$(dirname "$2")" || die "cannot make the folder of $2"
		if [ -f "$2" ] && [ ! -e "$2.before-carrel" ] && ! grep -q Carrel "$2"; then
			cp -p "$2" "$2.before-carrel"
		fi
		if ! { cp "$1" "$2.new" && chown "$4" "$2.new" && chmod "$3" "$2.new" && mv "$2.new" "$2"; }; then
			die "cannot write $2; is the file system full or read-only?"
		fi
	fi
	changed "$2"
	return 0
}

render() # TEMPLATE: to standard output
{
	sed -e "s|@ADDRESS@|$CARREL_ADDRESS|g" -e "s|@BROKER@|$CARREL_BROKER|g" \
		-e "s|@BROKER_DN@|$CARREL_BROKER_DN|g" -e "s|@VOLUMES@|$volumes|g" \
		-e "s|@HOST_UUID@|${host_uuid:-}|g" -e "s|@QEMU_USER@|${qemu_user:-}|g" \
		-e "s|@QEMU_GROUP@|${qemu_group:-}|g" -e "s|@POOL@|${pool:-}|g" \
		-e "s|@PATH@|${pool_path:-}|g" "$here/$1"
}

put_rendered() # TEMPLATE TARGET MODE OWNER:GROUP
{
	render "$1" >"$here/rendered"
	put "$here/rendered" "$2" "$3" "$4"
}

put_folder() # FOLDER MODE OWNER:GROUP
{
	if [ -d "$1" ] && [ "$(stat -c %a:%U:%G "$1")" = "$2:$3" ]; then
		return 0
	fi
	if ! dry; then
		if ! { mkdir -p "$1" && chown "$3" "$1" && chmod "$2" "$1"; }; then
			die "cannot make the folder $1 with mode $2 and owner $3"
		fi
	fi
	changed "folder $1 ($2, $3)"
}

step_system()
{
	step=system
	[ "$(id -u)" = 0 ] || die "not root there; connect as root"
	[ "$(uname -m)" = x86_64 ] || die "the machine is $(uname -m); desktops need x86_64"
	if ! grep -q '^VERSION_CODENAME=bookworm' /etc/os-release; then
		die "this is not Debian 12; install Debian 12 on it"
	fi
	skew=$(($(date +%s) - CARREL_TIME))
	if [ "$skew" -lt -5 ] || [ "$skew" -gt 10 ]; then
		die "its clock is $skew seconds off the boot server's, and tickets live 30 seconds; set both by NTP"
	fi
	if [ -e /dev/kvm ]; then
		same "Debian 12, x86_64, /dev/kvm"
	else
		same "Debian 12, x86_64, no /dev/kvm: desktops run in software, switch virtualization on in the firmware"
	fi
}

step_packages()
{
	step=packages
	if [ "$CARREL_PACKAGES" = no ]; then
		for program in libvirtd virtlogd virtlockd virsh qemu-system-x86_64 nft; do
			command -v "$program" >/dev/null ||
				die "$program is missing; run without --no-packages"
		done
		same "programs are there (packages are not looked at)"
		return
	fi
	missing=
	while read -r package; do
		dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed' ||
			missing="$missing $package"
	done <"$here/packages"
	if [ -z "$missing" ]; then
		same "packages"
	elif dry; then
		changed "install$missing"
	else
		apt-get update >"$here/log" 2>&1 || die "apt-get update: $(tail -n 1 "$here/log")"
		# shellcheck disable=SC2086
		DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing \
			>"$here/log" 2>&1 </dev/null ||
			die "apt-get install$missing: $(tail -n 1 "$here/log")"
		changed "installed$missing"
	fi
}

# The user that QEMU runs as comes with libvirt-daemon-system.
find_qemu_user()
{
	step=user
	qemu_user=libvirt-qemu
	qemu_group=kvm
	if ! getent passwd "$qemu_user" >/dev/null || ! getent group "$qemu_group" >/dev/null; then
		dry && return
		die "user $qemu_user or group $qemu_group is missing; the package libvirt-daemon-system makes them"
	fi
	same "QEMU runs as $qemu_user:$qemu_group"
}

# Files for QEMU while its user may not exist yet (a dry run on a fresh host).
qemu_owner()
{
	if getent passwd "$qemu_user" >/dev/null; then
		printf '%s' "$1:$qemu_group"
	else
		printf 'root:root'
	fi
}

step_certificates()
{
	step=certificates
	owner=$(qemu_owner root)
	put "$here/cacert.pem" /etc/pki/CA/cacert.pem 644 root:root && restart_libvirt=yes
	put "$here/servercert.pem" /etc/pki/libvirt/servercert.pem 644 root:root && restart_libvirt=yes
	put_folder /etc/pki/libvirt/private 700 root:root
	put "$here/serverkey.pem" /etc/pki/libvirt/private/serverkey.pem 600 root:root &&
		restart_libvirt=yes
	put_folder /etc/pki/qemu 750 "$owner"
	put "$here/cacert.pem" /etc/pki/qemu/ca-cert.pem 644 root:root || :
	put "$here/servercert.pem" /etc/pki/qemu/server-cert.pem 644 root:root || :
	put "$here/serverkey.pem" /etc/pki/qemu/server-key.pem 640 "$owner" || :
}

# Stays as it is: libvirt tells hosts apart by it, and the firmware's is not unique everywhere.
find_host_uuid()
{
	host_uuid=
	if [ -f /etc/libvirt/libvirtd.conf ]; then
		host_uuid=$(sed -n 's/^host_uuid *= *"\([0-9a-f-]*\)".*/\1/p' /etc/libvirt/libvirtd.conf)
	fi
	[ -n "$host_uuid" ] || host_uuid=$(cat /proc/sys/kernel/random/uuid)
}

step_libvirt()
{
	step=libvirt
	find_host_uuid
	put_rendered libvirtd.conf /etc/libvirt/libvirtd.conf 644 root:root && restart_libvirt=yes
	render qemu.conf >"$here/qemu.conf.rendered"
	if ! has_systemd; then
		cat "$here/qemu-bare.conf" >>"$here/qemu.conf.rendered"
	fi
	put "$here/qemu.conf.rendered" /etc/libvirt/qemu.conf 600 root:root && restart_libvirt=yes
	put_rendered qemu-lockd.conf /etc/libvirt/qemu-lockd.conf 644 root:root && restart_libvirt=yes
	if has_systemd; then
		put_rendered libvirtd-tls.socket.conf \
			/etc/systemd/system/libvirtd-tls.socket.d/carrel.conf 644 root:root &&
			restart_libvirt=yes
	fi
	return 0
}

# The volumes' storage: a local folder, or NFS mounted by fstab.
step_storage()
{
	step=storage
	case $CARREL_VOLUMES in
	nfs:*)
		line="${CARREL_VOLUMES#nfs:} $volumes nfs vers=4.2,hard,_netdev,x-systemd.mount-timeout=60 0 0"
		if grep -qxF "$line" /etc/fstab; then
			same "$volumes in /etc/fstab"
		elif grep -q "[[:space:]]${volumes}[[:space:]]" /etc/fstab; then
			die "/etc/fstab has another line for $volumes; remove it first"
		else
			dry || printf '%s\n' "$line" >>/etc/fstab
			changed "$volumes in /etc/fstab"
		fi
		put_folder "$volumes" 711 root:root
		if ! mountpoint -q "$volumes"; then
			dry || mount "$volumes" ||
				die "cannot mount ${CARREL_VOLUMES#nfs:}; is it exported to $CARREL_ADDRESS with no_root_squash?"
			changed "mounted $volumes"
		fi
		;;
	*)
		if [ ! -d "$volumes" ] || [ "$(stat -c %a "$volumes")" != 711 ]; then
			put_folder "$volumes" 711 root:root
		fi
		;;
	esac
	put_folder "$volumes/.locks" 700 root:root
	put_folder "$images" 711 root:root
	put_pool carrel-images "$images"
	put_pool carrel-volumes "$volumes"
}

# libvirt's own word when it runs, else its file: libvirtd reads it when it starts.
put_pool() # NAME PATH
{
	pool=$1
	pool_path=$2
	render pool.xml >"$here/$pool.xml"
	put_object pool "$pool" "$here/$pool.xml" /etc/libvirt/storage
}

put_object() # pool|net NAME XML FOLDER
{
	keep=/etc/carrel/libvirt/$2.xml
	if [ "$CARREL_SERVICES" = yes ]; then
		if put "$3" "$keep" 644 root:root || ! virsh -c qemu:///system "$1-info" "$2" >/dev/null 2>&1; then
			define="$define $1:$2"
		fi
		return 0
	fi
	# libvirtd writes its own words into the file (a UUID, a MAC address): what was asked for is
	# compared with the copy.
	if put "$3" "$keep" 644 root:root || [ ! -e "$4/$2.xml" ]; then
		put "$3" "$4/$2.xml" 600 root:root || :
	fi
	if [ "$(readlink "$4/autostart/$2.xml" 2>/dev/null)" = "$4/$2.xml" ]; then
		same "$2 starts with libvirtd"
	else
		dry || { mkdir -p "$4/autostart" && ln -sfn "$4/$2.xml" "$4/autostart/$2.xml"; } ||
			die "cannot write $4/autostart"
		changed "$2 starts with libvirtd"
	fi
}

# libvirt's own networks need dnsmasq, iptables and a kernel that has what iptables asks for.
network_runs()
{
	command -v dnsmasq >/dev/null || { reason="dnsmasq is missing" && return 1; }
	command -v iptables >/dev/null || { reason="iptables is missing" && return 1; }
	iptables -w -t nat -S >/dev/null 2>&1 || { reason="iptables does not work here" && return 1; }
	iptables -w -t mangle -S >/dev/null 2>&1 || { reason="iptables does not work here" && return 1; }
	[ -w /proc/sys/net/ipv4/ip_forward ] || { reason="/proc/sys is read-only" && return 1; }
}

step_network()
{
	step=network
	reason=
	if dry && ! command -v iptables >/dev/null && [ "$CARREL_PACKAGES" = yes ]; then
		changed "libvirt network carrel, once the packages are there"
	elif network_runs; then
		put_object net carrel "$here/network.xml" /etc/libvirt/qemu/networks
	else
		say "left out: $reason; [desktop] network must be none or bridge:NAME for this server"
	fi
}

step_firewall()
{
	step=firewall
	if put_rendered firewall.nft /etc/carrel/server-firewall.nft 644 root:root ||
		! nft list table inet carrel_server >/dev/null 2>&1; then
		dry || nft -f /etc/carrel/server-firewall.nft ||
			die "nft refused /etc/carrel/server-firewall.nft; does the kernel have nftables?"
		changed "table inet carrel_server"
	fi
	has_systemd || return 0
	put "$here/carrel-server-firewall.service" \
		/etc/systemd/system/carrel-server-firewall.service 644 root:root && reload=yes
	if ! systemctl is-enabled -q carrel-server-firewall.service 2>/dev/null; then
		dry || { systemctl daemon-reload && systemctl enable -q carrel-server-firewall.service; } ||
			die "cannot enable carrel-server-firewall.service"
		changed "carrel-server-firewall.service starts with the host"
	fi
}

define_objects()
{
	for entry in $define; do
		kind=${entry%%:*}
		name=${entry#*:}
		dry || {
			virsh -q -c qemu:///system "$kind-define" "/etc/carrel/libvirt/$name.xml" &&
				virsh -q -c qemu:///system "$kind-autostart" "$name" &&
				{ virsh -c qemu:///system "$kind-info" "$name" | grep -Eq '^(State|Active): +(running|yes)' ||
					virsh -q -c qemu:///system "$kind-start" "$name"; }
		} >/dev/null || die "virsh cannot define and start $kind $name"
		changed "$kind $name"
	done
}

step_services()
{
	step=services
	if [ "$CARREL_SERVICES" = no ]; then
		say "left out as asked"
		return
	fi
	has_systemd || die "there is no systemd; use --no-services and start virtlogd, virtlockd and libvirtd -l"
	if [ "$restart_libvirt" = yes ] || [ "$reload" = yes ] ||
		! systemctl is-active -q libvirtd-tls.socket || ! systemctl is-enabled -q libvirtd-tls.socket; then
		# Running VMs stay; the sockets can only be changed while the service is off. virtlockd is
		# never restarted: it would let go of the locks on the volumes of running VMs.
		dry || {
			systemctl daemon-reload && systemctl stop libvirtd.service &&
				systemctl stop libvirtd-tls.socket && systemctl enable -q libvirtd.service &&
				systemctl enable -q --now libvirtd.socket libvirtd-tls.socket &&
				systemctl enable -q --now virtlockd.socket virtlogd.socket &&
				systemctl start libvirtd.service
		} || die "systemctl failed; see: journalctl -u libvirtd -u libvirtd-tls.socket"
		changed "libvirtd listens on $CARREL_ADDRESS port 16514"
	else
		same "libvirtd listens on $CARREL_ADDRESS port 16514"
	fi
	define_objects
}

define=
reload=no
case $CARREL_VOLUMES in
dir:*) volumes=${CARREL_VOLUMES#dir:} ;;
*) volumes=/var/lib/carrel/volumes ;;
esac
step_system
step_packages
find_qemu_user
step_certificates
step_libvirt
step_storage
step_network
step_firewall
step_services
step=result
if dry; then
	say "$changes things would change on $CARREL_NAME; nothing was changed"
else
	say "$CARREL_NAME is ready, $changes things changed; next: carrel server add $CARREL_NAME qemu+tls://$CARREL_ADDRESS/system"
fi
