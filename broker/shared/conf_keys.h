/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every key of carrel.conf, one row each; the program, `carrel config check`, the manual page and
 * the tests all read this table. No include guard: it is included with different CONF_KEY.
 *
 * CONF_KEY(IDENTIFIER, group, key, type, default, min, max, choices, help)
 * min and max hold for integers only; choices is a list with '|' for enumerations.
 */
/* clang-format off */
CONF_KEY(SITE_NAME, "site", "name", CONF_STRING, "Carrel", 0, 0, NULL,
	"Shown above the login form.")
CONF_KEY(SITE_LANGUAGE, "site", "language", CONF_ENUM, "en", 0, 0, "en|ko",
	"Language of the login form.")

CONF_KEY(NETWORK_CLIENT_INTERFACE, "network", "client_interface", CONF_INTERFACE, "eth1", 0, 0, NULL,
	"Interface of the boot server towards the lab PCs.")
CONF_KEY(NETWORK_CLIENT_ADDRESS, "network", "client_address", CONF_CIDR, "auto", 0, 0, NULL,
	"Address of the boot server on that interface, with the length of the prefix; auto: the one that the interface has.")
CONF_KEY(NETWORK_DHCP, "network", "dhcp", CONF_ENUM, "own", 0, 0, "own|proxy",
	"Who gives the PCs their addresses: this boot server, or another DHCP server of their network, beside which it only tells them what to start (proxy DHCP; client_range and lease_minutes are then not used).")
CONF_KEY(NETWORK_CLIENT_RANGE, "network", "client_range", CONF_RANGE, "auto", 0, 0, NULL,
	"Addresses that DHCP gives to the PCs; auto: of a network with a prefix of 24 those from .100 to .250, of others the like.")
CONF_KEY(NETWORK_LEASE, "network", "lease_minutes", CONF_INT, "60", 2, 10080, NULL,
	"Life of a DHCP lease, minutes.")
CONF_KEY(NETWORK_SERVER_INTERFACE, "network", "server_interface", CONF_INTERFACE, "auto", 0, 0, NULL,
	"Interface of the boot server towards the virtualization servers; auto: the one with an address in server_network where that is given, else that of the default route, else the only other one.")
CONF_KEY(NETWORK_SERVER_NETWORK, "network", "server_network", CONF_CIDR, "auto", 0, 0, NULL,
	"Network in which the virtualization servers' addresses lie; forwards lead nowhere else. auto: that of server_interface's address.")
CONF_KEY(NETWORK_FORWARD_PORT, "network", "forward_port", CONF_INT, "5900", 1024, 65000, NULL,
	"First port of the boot server that is forwarded to desktops; the eight from there on are used.")

CONF_KEY(BROKER_USER, "broker", "user", CONF_NAME, "carrel", 0, 0, NULL,
	"The user that carreld runs as; the helpers serve nobody else but root.")
CONF_KEY(BROKER_PORT, "broker", "port", CONF_INT, "7443", 1, 65535, NULL,
	"Port of the viewers' API (HTTPS) on client_address.")
CONF_KEY(BROKER_REPORT_PORT, "broker", "report_port", CONF_INT, "7480", 1, 65535, NULL,
	"Port for the boot reports of PCs that have no viewer yet (HTTP).")
CONF_KEY(BROKER_CALL_TIMEOUT, "broker", "call_timeout", CONF_INT, "60", 1, 3600, NULL,
	"Seconds that one call to a virtualization server may take before its worker is replaced.")

CONF_KEY(DESKTOP_MAX, "desktop", "max_mib", CONF_INT, "4096", 64, 4194304, NULL,
	"Memory of the largest desktop, MiB; min_mib times a power of two.")
CONF_KEY(DESKTOP_MIN, "desktop", "min_mib", CONF_INT, "512", 64, 4194304, NULL,
	"Memory of the smallest desktop, MiB.")
CONF_KEY(DESKTOP_OVERHEAD, "desktop", "overhead_mib", CONF_INT, "128", 0, 65536, NULL,
	"What the hypervisor needs beside a desktop's own memory, MiB for each desktop of the smallest size.")
CONF_KEY(DESKTOP_HOST_RESERVE, "desktop", "host_reserve_mib", CONF_INT, "1024", 0, 1048576, NULL,
	"Memory of each server that is kept for the server itself, MiB.")
CONF_KEY(DESKTOP_STANDBY, "desktop", "standby", CONF_INT, "1", 0, 64, NULL,
	"Booted desktops kept ready for the next logins.")
CONF_KEY(DESKTOP_VCPUS, "desktop", "vcpus", CONF_INT, "2", 1, 64, NULL,
	"Virtual processors of a desktop.")
CONF_KEY(DESKTOP_IMAGE, "desktop", "image", CONF_NAME, "desktop-lite", 0, 0, NULL,
	"Name of the image that desktops run; its published version is used.")
CONF_KEY(DESKTOP_NETWORK, "desktop", "network", CONF_STRING, "network:carrel", 0, 0, NULL,
	"The desktops' own network: network:NAME (libvirt's), bridge:NAME, or none.")
CONF_KEY(DESKTOP_BOOT_TIMEOUT, "desktop", "boot_timeout", CONF_INT, "180", 5, 3600, NULL,
	"Seconds after which a desktop whose agent has not reported counts as failed.")
CONF_KEY(DESKTOP_CLAIM_TIMEOUT, "desktop", "claim_timeout", CONF_INT, "120", 5, 3600, NULL,
	"Seconds after which a claim that the agent has not answered counts as failed.")
CONF_KEY(DESKTOP_SHRINK_TIMEOUT, "desktop", "shrink_timeout", CONF_INT, "20", 1, 600, NULL,
	"Seconds within which a running desktop of an image that allows it has to give memory back in place; else its user is handed off.")
CONF_KEY(DESKTOP_BOOTS, "desktop", "boots", CONF_INT, "0", 0, 64, NULL,
	"Desktops that boot on a server at once; 0 is half of the server's processors, at least 1.")
CONF_KEY(DESKTOP_BOOT_RESERVE, "desktop", "boot_reserve", CONF_ENUM, "yes", 0, 0, "yes|no",
	"Whether a desktop is kept booted in the memory that hand-offs need; with no, each hand-off waits for its desktop to boot.")

CONF_KEY(SESSION_DISCONNECTED, "session", "disconnected_minutes", CONF_INT, "240", 0, 100000, NULL,
	"Minutes that a session without a viewer lives on; 0 ends it at once.")
CONF_KEY(SESSION_TICKET, "session", "ticket_seconds", CONF_INT, "30", 5, 300, NULL,
	"Life of the one-time ticket with which a viewer opens its desktop, seconds.")
CONF_KEY(SESSION_QUEUE, "session", "queue", CONF_INT, "0", 0, 1000, NULL,
	"Logins that may wait for a desktop when all are taken; 0 refuses them at once.")
CONF_KEY(SESSION_HANDOFF_GRACE, "session", "handoff_grace", CONF_INT, "30", 0, 600, NULL,
	"Seconds from the notice that a user's desktop changes to the change; 0 changes it at once.")

CONF_KEY(SERVER_LOST_AFTER, "server", "lost_after", CONF_INT, "60", 0, 86400, NULL,
	"Seconds without a connection after which a server counts as lost and its users are to go on elsewhere; 0 is never.")
CONF_KEY(SERVER_FENCE, "server", "fence", CONF_COMMAND, "", 0, 0, NULL,
	"Command that switches a lost server's power off: it is given the further words off, NAME and URI of the server, and ends with 0 only when the server is certainly without power.")

CONF_KEY(VOLUME_POOL, "volume", "pool", CONF_NAME, "carrel-volumes", 0, 0, NULL,
	"libvirt storage pool of the users' volumes; the same storage on every server.")
CONF_KEY(VOLUME_SIZE, "volume", "size_mib", CONF_INT, "8192", 64, 16777216, NULL,
	"Size of a new user volume, MiB; the file is sparse.")
CONF_KEY(VOLUME_KEEP_FREE, "volume", "keep_free_mib", CONF_INT, "1024", 0, 16777216, NULL,
	"Room that new volumes, snapshots and growth leave free in the pool, MiB; what would not is refused.")
CONF_KEY(VOLUME_SNAPSHOTS, "volume", "snapshots", CONF_INT, "7", 0, 1000, NULL,
	"Daily snapshots that are kept of each volume; 0 makes none.")
CONF_KEY(VOLUME_SNAPSHOT_TIME, "volume", "snapshot_time", CONF_TIME, "03:00", 0, 0, NULL,
	"Time of the day of the daily snapshots of volumes that were used; one in use is copied when its desktop gives it back.")
CONF_KEY(IMAGE_POOL, "image", "pool", CONF_NAME, "carrel-images", 0, 0, NULL,
	"libvirt storage pool of the immutable images on each server.")
CONF_KEY(IMAGE_CANARY, "image", "canary", CONF_INT, "3", 0, 1000, NULL,
	"Logins that a promoted image must bring to their first picture, and boots that one of the PCs must bring to the login form; when one fails before that, the image before is taken again. 0 = a promotion stands at once.")

CONF_KEY(SEATS_UNKNOWN, "seats", "unknown", CONF_ENUM, "guest", 0, 0, "guest|hold",
	"Whether one may log in at a PC that nobody has named or approved (carrel seat), or it waits until somebody does.")
CONF_KEY(SEATS_POWER_OFF, "seats", "power_off", CONF_ENUM_TIME, "never", 0, 0, "never|session",
	"When PCs switch themselves off: never; when the session there has ended; or at a time of the day, those in use when their session has ended.")

CONF_KEY(AUTH_METHOD, "auth", "method", CONF_ENUM, "own", 0, 0, "own|pam",
	"Who knows the users: carrel's own list, or PAM.")
CONF_KEY(AUTH_PAM_SERVICE, "auth", "pam_service", CONF_NAME, "carrel", 0, 0, NULL,
	"Name of the PAM service.")
CONF_KEY(AUTH_UID_MIN, "auth", "uid_min", CONF_INT, "20000", 1000, 2000000000, NULL,
	"First user id given to users of carrel's own list.")

CONF_KEY(BOOT_HTTP_PORT, "boot", "http_port", CONF_INT, "80", 1, 65535, NULL,
	"Port on which the kernel, the initramfs and the root image are served.")
CONF_KEY(BOOT_NFS, "boot", "nfs", CONF_ENUM, "auto", 0, 0, "auto|kernel|ganesha|off",
	"NFS server for the root image; auto takes the kernel's where there is one.")
CONF_KEY(BOOT_UEFI, "boot", "uefi", CONF_ENUM, "uki", 0, 0, "uki|shim",
	"What UEFI PCs start by PXE: uki, one program of the site's own, signed by its key; shim, "
	"Debian's shim and GRUB, which start on PCs with Microsoft's keys and verify less.")
CONF_KEY(BOOT_IMAGE, "boot", "image", CONF_NAME, "client", 0, 0, NULL,
	"Name of the image that the PCs boot; the published version is the first stable one.")
CONF_KEY(BOOT_KERNEL_OPTIONS, "boot", "kernel_options", CONF_STRING, "", 0, 0, NULL,
	"Further words for the PCs' kernel command line.")

CONF_KEY(PATH_STATE, "paths", "state", CONF_PATH, CARREL_LOCALSTATEDIR "/lib/carrel", 0, 0, NULL,
	"Database, boot tree, own users.")
CONF_KEY(PATH_RUN, "paths", "run", CONF_PATH, CARREL_RUNDIR "/carrel", 0, 0, NULL,
	"Sockets and process ids.")
CONF_KEY(PATH_IMAGES, "paths", "images", CONF_PATH, CARREL_LOCALSTATEDIR "/lib/carrel/images", 0, 0, NULL,
	"Built images, one folder for each name and version.")
CONF_KEY(PATH_PKI, "paths", "pki", CONF_PATH, CARREL_SYSCONFDIR "/carrel/pki", 0, 0, NULL,
	"The site's CA certificate and the boot server's keys.")
/* clang-format on */
