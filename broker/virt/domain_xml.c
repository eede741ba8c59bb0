/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/virt/domain_xml.h"
#include "broker/virt/virt.h"

#include <stdio.h>
#include <string.h>

#define NAME_PREFIX "carrel-d"
#define METADATA_URI "urn:carrel:desktop:1"
#define QEMU_URI "http://libvirt.org/schemas/domain/qemu/1.0"
#define AGENT_ALIAS "ua-agent"
#define FREE_PORTS 6
/* Devices of domain_xml that sit on a PCIe port of their own: disk, serial, keyboard, tablet, rng;
 * and the network card and the balloon where there is one. */
#define USED_PORTS 5
#define SCREEN_WIDTH 1280
#define SCREEN_HEIGHT 800

char *domain_name(uint64_t desktop)
{
	return g_strdup_printf(NAME_PREFIX "%" G_GUINT64_FORMAT, desktop);
}

/* The trial of KVM has the same processor as the desktops: what a host's KVM fails at may be one of
 * its registers. */
#define KVM_CPU "<cpu mode='host-passthrough' migratable='on'/>"

uint64_t domain_id(const char *name)
{
	const char *digits;
	guint64 id;

	if (!g_str_has_prefix(name, NAME_PREFIX))
		return 0;
	digits = name + strlen(NAME_PREFIX);
	if (*digits == '0' || !g_ascii_string_to_unsigned(digits, 10, 1, G_MAXINT64, &id, NULL))
		return 0;
	return id;
}

char *volume_name(uint64_t volume)
{
	return g_strdup_printf("home-%" G_GUINT64_FORMAT, volume);
}

char *volume_alias(uint64_t volume)
{
	return g_strdup_printf("ua-vol%" G_GUINT64_FORMAT, volume);
}

static void put(GString *xml, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends with every argument escaped. */
static void put(GString *xml, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	g_autofree char *text = g_markup_vprintf_escaped(format, ap);
	va_end(ap);
	g_string_append(xml, text);
}

/* What is started first. */
static void put_boot(GString *xml, const struct domain_spec *spec)
{
	if (!spec->disk)
		put(xml,
			"<os><type arch='x86_64' machine='q35'>hvm</type><kernel>%s</kernel>"
			"<initrd>%s</initrd><cmdline>%s</cmdline></os>",
			spec->kernel, spec->initrd, spec->cmdline);
	else if (!spec->nvram)
		put(xml, "<os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os>");
	else
		/* libvirt chooses the firmware among those that the server's packages describe. */
		put(xml,
			"<os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type>"
			"<firmware><feature enabled='no' name='enrolled-keys'/>"
			"<feature enabled='no' name='secure-boot'/></firmware>"
			"<nvram>%s</nvram><boot dev='hd'/></os>",
			spec->nvram);
}

static void put_machine(GString *xml, const struct domain_spec *spec)
{
	put_boot(xml, spec);
	if (spec->kvm)
		put(xml, "<features><acpi/><apic/></features>" KVM_CPU);
	else
		/* The oldest model that today's distributions run on: fewer features, less to
		 * emulate. */
		put(xml,
			"<features><acpi/><apic/><tcg><tb-cache "
			"unit='MiB'>%d</tb-cache></tcg></features>"
			"<cpu mode='custom' match='exact' check='none'>"
			"<model fallback='allow'>Nehalem</model></cpu>",
			DOMAIN_TCG_CACHE_MIB);
	put(xml, "<clock offset='utc'/><on_poweroff>destroy</on_poweroff>"
		 "<on_reboot>destroy</on_reboot><on_crash>destroy</on_crash>");
}

static void put_network(GString *xml, const char *network)
{
	const char *name = strchr(network, ':');

	if (!name)
		return;
	if (g_str_has_prefix(network, "bridge:"))
		put(xml, "<interface type='bridge'><source bridge='%s'/>", name + 1);
	else
		put(xml, "<interface type='network'><source network='%s'/>", name + 1);
	/* Isolated ports reach the way out and not each other. */
	put(xml, "<port isolated='yes'/><model type='virtio'/></interface>");
}

/* It is shared by all desktops of the server: the host's page cache holds it once. */
static void put_root(GString *xml, const struct domain_spec *spec)
{
	if (!spec->disk)
		put(xml,
			"<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
			"<source file='%s'/><target dev='vda' bus='virtio'/><readonly/>"
			"<serial>root</serial></disk>",
			spec->root);
	else
		/* What is thrown away need not be on the storage when the guest flushes it. */
		put(xml,
			"<disk type='file' device='disk'>"
			"<driver name='qemu' type='qcow2' cache='unsafe' discard='unmap'/>"
			"<source file='%s'/><backingStore type='file'><format type='qcow2'/>"
			"<source file='%s'/><backingStore/></backingStore>"
			"<target dev='vda' bus='virtio'/><serial>root</serial></disk>",
			spec->overlay, spec->disk);
}

static void put_devices(GString *xml, const struct domain_spec *spec)
{
	int ports = USED_PORTS + FREE_PORTS + (strchr(spec->network, ':') ? 1 : 0) +
		    (spec->live ? 1 : 0);

	put_root(xml, spec);
	put(xml, "<controller type='pci' model='pcie-root'/>");
	for (int i = 0; i < ports; i++)
		put(xml, "<controller type='pci' model='pcie-root-port'/>");
	put(xml, "<controller type='usb' model='none'/><controller type='virtio-serial'/>");
	put_network(xml, spec->network);
	put(xml,
		"<serial type='pty'/><console type='pty'/>"
		"<channel type='unix'><target type='virtio' name='%s'/>",
		VIRT_AGENT_PORT);
	if (spec->qemu_ga)
		put(xml, "<alias name='" AGENT_ALIAS "'/>");
	put(xml, "</channel><input type='keyboard' bus='virtio'/>"
		 "<input type='tablet' bus='virtio'/>");
	put(xml,
		"<graphics type='vnc' port='-1' autoport='yes' sharePolicy='allow-exclusive' "
		"passwd='%s' passwdValidTo='1970-01-01T00:00:01'/>",
		spec->password);
	put(xml,
		"<video><model type='virtio' heads='1' primary='yes'>"
		"<resolution x='%d' y='%d'/></model></video>",
		SCREEN_WIDTH, SCREEN_HEIGHT);
	/* A guest that runs short must not take back what is another desktop's by now: without
	 * autodeflate it ends a program of its own instead. */
	put(xml,
		"<memballoon model='%s'/><rng model='virtio'>"
		"<backend model='random'>/dev/urandom</backend></rng>",
		spec->live ? "virtio" : "none");
}

char *domain_xml(const struct domain_spec *spec)
{
	GString *xml = g_string_new(NULL);

	put(xml,
		"<domain type='%s'><name>" NAME_PREFIX "%" G_GUINT64_FORMAT "</name>"
		"<metadata><carrel:desktop xmlns:carrel='" METADATA_URI "' id='%" G_GUINT64_FORMAT
		"' image='%s' guest='%s'/></metadata>",
		spec->kvm ? "kvm" : "qemu", spec->desktop, spec->desktop, spec->image,
		!spec->disk     ? "no"
		: spec->qemu_ga ? "qemu-ga"
				: "carrel");
	put(xml, "<memory unit='MiB'>%u</memory><vcpu>%u</vcpu>", spec->memory_mib, spec->vcpus);
	put_machine(xml, spec);
	put(xml, "<devices>");
	put_devices(xml, spec);
	put(xml, "</devices>");
	if (spec->qemu_ga)
		put(xml,
			"<qemu:override xmlns:qemu='" QEMU_URI "'><qemu:device alias='" AGENT_ALIAS
			"'><qemu:frontend><qemu:property name='name' type='string' value='%s'/>"
			"</qemu:frontend></qemu:device></qemu:override>",
			VIRT_GUEST_AGENT_PORT);
	put(xml, "</domain>");
	return g_string_free(xml, FALSE);
}

char *domain_disk_xml(uint64_t volume, const char *path, unsigned slot)
{
	GString *xml = g_string_new(NULL);

	g_assert(slot <= 24);
	/* cache none: what the guest has flushed is on the storage, also for the next server. */
	put(xml,
		"<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none' "
		"discard='unmap'/><source file='%s'/><target dev='vd%c' bus='virtio'/>"
		"<serial>vol-%" G_GUINT64_FORMAT "</serial><alias name='ua-vol%" G_GUINT64_FORMAT
		"'/></disk>",
		path, (char)('b' + slot), volume, volume);
	return g_string_free(xml, FALSE);
}

char *domain_graphics_xml(
	uint16_t port, const char *address, const char *password, int64_t valid_to)
{
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(valid_to);
	g_autofree char *until = time ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%S") : NULL;
	GString *xml = g_string_new(NULL);

	put(xml,
		"<graphics type='vnc' port='%u' autoport='yes' sharePolicy='allow-exclusive' "
		"passwd='%s' passwdValidTo='%s' connected='keep'>"
		"<listen type='address' address='%s'/></graphics>",
		port, password, until ? until : "1970-01-01T00:00:01", address);
	return g_string_free(xml, FALSE);
}

char *domain_trial_xml(const char *name, bool kvm)
{
	GString *xml = g_string_new(NULL);

	put(xml,
		"<domain type='%s'><name>%s</name><memory unit='MiB'>16</memory><vcpu>1</vcpu>"
		"<os><type arch='x86_64' machine='pc'>hvm</type>"
		"<bios rebootTimeout='0'/></os><features><acpi/></features>",
		kvm ? "kvm" : "qemu", name);
	if (kvm)
		put(xml, KVM_CPU);
	put(xml,
		"<on_poweroff>destroy</on_poweroff><on_reboot>destroy</on_reboot>"
		"<on_crash>destroy</on_crash><devices><controller type='usb' model='none'/>"
		"<memballoon model='none'/><video><model type='none'/></video></devices></domain>");
	return g_string_free(xml, FALSE);
}

char *volume_overlay_xml(const char *name, uint64_t size, const char *base)
{
	GString *xml = g_string_new(NULL);

	put(xml,
		"<volume><name>%s</name><capacity unit='bytes'>%" G_GUINT64_FORMAT
		"</capacity><allocation>0</allocation><target><format "
		"type='qcow2'/><compat>1.1</compat>"
		"<permissions><mode>0600</mode></permissions></target>"
		"<backingStore><path>%s</path><format type='qcow2'/></backingStore></volume>",
		name, size, base);
	return g_string_free(xml, FALSE);
}

char *volume_xml(const char *name, uint64_t size)
{
	GString *xml = g_string_new(NULL);

	put(xml,
		"<volume><name>%s</name><capacity unit='bytes'>%" G_GUINT64_FORMAT
		"</capacity><allocation>0</allocation><target><format type='raw'/>"
		"<permissions><mode>0600</mode></permissions></target></volume>",
		name, size);
	return g_string_free(xml, FALSE);
}
