/**
 * The words that keys with a choice take. Flags take the same, and are known to the program long before it reads a configuration:
 * so this imports nothing.
 */

/** Which hypervisor is driven. `auto` looks which of them is there. */
export const HYPERVISORS = ['auto', 'embedded', 'xen-guest', 'xen-host', 'qmp', 'libvirt'] as const;
/** Through what dom0 sees the host's memory. */
export const XEN_SIGHTS = ['auto', 'libxenstat', 'xl'] as const;
export const LOG_FORMATS = ['text', 'json'] as const;
export const LOG_LEVELS = ['debug', 'info', 'warning', 'error'] as const;
