/**
 * The configuration's keys: one schema, from which the checks, the table of the reference page, the names of environment
 * variables and the JSON Schema for editors are all made. It does not know where values come from, nor what they are used for.
 */
import * as v from 'valibot';
import { acceptedText, AUTOMATIC, TUNABLES, type TunableRow } from '../control/tunables.js';
import { OWN_PORT } from '../signals/report-ways.js';
import { HYPERVISORS, LOG_FORMATS, LOG_LEVELS, XEN_SIGHTS } from './choices.js';
import {
  choiceKey,
  numberKey,
  optionalPathKey,
  optionalWholeKey,
  pathKey,
  pathListKey,
  switchKey,
  uriKey,
  wholeKey,
  wholeNumber,
  withFacts,
} from './keyed-schema.js';

/** More MiB than any machine has (2^52 bytes). */
const MIB_MAX = 2 ** 32;
const UINT32_MAX = 2 ** 32 - 1;
/** The kernel itself takes fewer than 32 swap devices (`MAX_SWAPFILES`, swapon(2)). */
const OVERFLOW_DEVICES_MAX = 32;
/** A host has its monitors in one folder or a few. */
const QMP_SOCKETS_MAX = 256;

function tunableKey(row: TunableRow) {
  const { takesAutomatic, default: fallback, min, unit } = row;
  const description = unit === 'switch' ? row.summary : `${row.summary} Unit: ${unit}.`;
  const word = v.picklist(takesAutomatic ? [AUTOMATIC] : []);
  const value = takesAutomatic ? v.union([wholeNumber(row), word]) : wholeNumber(row);
  const described = v.pipe(value, v.description(description));
  // A default may lie outside what can be written (0 MiB of selfballoon_min_usable_mb stands for "by size").
  const isWritable = fallback === AUTOMATIC || fallback >= min;
  const schema = isWritable ? v.optional(described, fallback) : v.optional(described);
  const written = fallback === AUTOMATIC ? JSON.stringify(fallback) : String(fallback);
  return withFacts(schema, { kind: 'number', allowed: acceptedText(row), fallback: written, description });
}

const section = <const Entries extends v.ObjectEntries>(description: string, entries: Entries) =>
  v.pipe(v.strictObject(entries), v.description(description));

/** What the kernel takes as the window of a pressure trigger (its Documentation/accounting/psi.rst). */
const TRIGGER_WINDOW_MS = { min: 500, max: 10_000 };

const MIB_LIMIT = { min: 0, max: MIB_MAX };

export const GUEST_SECTION = section('Limits of one guest, by its name or id. They can be set in the file only.', {
  min_mib: wholeKey(MIB_LIMIT, { fallback: 0, description: 'Least memory that the guest may be set to. Unit: MiB.' }),
  max_mib: optionalWholeKey(
    { min: 1, max: MIB_MAX },
    {
      fallback: "the guest's own maximum",
      description: 'Most memory that the guest may be set to; not below min_mib. Unit: MiB.',
    },
  ),
});

const TOP_KEYS = {
  hypervisor: choiceKey(HYPERVISORS, {
    fallback: 'auto',
    description:
      'Which hypervisor to drive. auto takes the guest that this is, if it is one; xen-host (all domains, from dom0), qmp (the QEMU machines of this host) and libvirt (its domains) must be named; embedded is a simulated host.',
  }),
  dry_run: switchKey({ fallback: false, description: 'Decide and show, but change nothing.' }),
  socket: optionalPathKey({
    fallback:
      '/run/selfballoon/selfballoon.sock as root, otherwise in $RUNTIME_DIRECTORY (of a service of systemd) or $XDG_RUNTIME_DIR/selfballoon',
    description: 'The unix socket on which the daemon answers.',
  }),
};

/** The whole configuration, as it is written in the file. */
export const CONFIG_SCHEMA = v.strictObject({
  ...TOP_KEYS,
  tunables: v.optional(
    section(
      'The tunables with which the daemon starts.',
      Object.fromEntries(TUNABLES.map((row) => [row.name, tunableKey(row)])),
    ),
    {},
  ),
  journal: v.optional(
    section('The record of everything that was seen and decided.', {
      path: optionalPathKey({
        fallback: 'no journal',
        description: 'The file to write the journal to. Its folder is made where that alone is missing.',
      }),
      max_mib: wholeKey(
        { min: 1, max: 65_536 },
        { fallback: 16, description: 'Size at which a new file is begun. Unit: MiB.' },
      ),
      files: wholeKey({ min: 1, max: 100 }, { fallback: 4, description: 'How many files are kept.' }),
    }),
    {},
  ),
  log: v.optional(
    section('What is logged, and how.', {
      format: choiceKey(LOG_FORMATS, { fallback: 'text', description: 'Lines for people, or one JSON object a line.' }),
      level: choiceKey(LOG_LEVELS, { fallback: 'info', description: 'The least serious message that is logged.' }),
    }),
    {},
  ),
  embedded: v.optional(
    section('The simulated host that the hypervisor `embedded` shows.', {
      speed: numberKey(
        { min: 0.1, max: 10_000 },
        { fallback: 1, description: 'How many simulated seconds pass in one real second.' },
      ),
      seed: wholeKey(
        { min: 0, max: UINT32_MAX },
        { fallback: 1, description: 'Seed of the simulated workloads: the same seed gives the same run.' },
      ),
      host_mib: wholeKey(
        { min: 2_048, max: 64 * 1024 * 1024 },
        { fallback: 8192, description: "The simulated host's memory. Unit: MiB." },
      ),
      show_this_machine: switchKey({
        fallback: true,
        description: 'Show this machine beside the simulated guests, with its real numbers. It is only watched.',
      }),
    }),
    {},
  ),
  overflow: v.optional(
    section('The overflow tier: swap devices that catch what a smaller guest must swap out.', {
      devices: pathListKey(
        OVERFLOW_DEVICES_MAX,
        'The swap devices, for example ["/dev/zram0", "/dev/zram1"], highest priority first.',
      ),
      reserve_mib: wholeKey(MIB_LIMIT, {
        fallback: 64,
        description: 'Memory that must stay available while a device is emptied. Unit: MiB.',
      }),
    }),
    {},
  ),
  pressure: v.optional(
    section('What is done about pressure on memory inside a guest, between two rounds.', {
      watch: switchKey({ fallback: true, description: 'Release memory at once under pressure, between rounds.' }),
      stall_ms: optionalWholeKey(
        { min: 1, max: TRIGGER_WINDOW_MS.max },
        {
          fallback: '100 (of the agent: 20)',
          description: 'How long tasks must have waited for memory, within window_ms; not above it. Unit: ms.',
        },
      ),
      window_ms: optionalWholeKey(TRIGGER_WINDOW_MS, {
        fallback: '1000 (of the agent: 500)',
        description:
          'In which time they must have waited so long. Without CAP_SYS_RESOURCE it is widened to full 2 s. The agent has defaults of its own where neither of the two is given. Unit: ms.',
      }),
    }),
    {},
  ),
  xen_guest: v.optional(
    section('The inside of a Xen guest.', {
      root: pathKey({
        fallback: '/',
        description:
          'The folder under which proc and sys of this machine are found, whatever is driven from it. For trials against a copy.',
      }),
    }),
    {},
  ),
  xen_host: v.optional(
    section('A whole Xen host, driven from dom0.', {
      // As on Debian with Xen 4.17, and on others with /run.
      socket: pathKey({ fallback: '/run/xenstored/socket', description: 'The unix socket of xenstored.' }),
      sight: choiceKey(XEN_SIGHTS, {
        fallback: 'auto',
        description:
          "Through what the host's memory is seen. auto takes libxenstat, and the xl tool where that is missing.",
      }),
      reserve_mib: wholeKey(MIB_LIMIT, {
        fallback: 64,
        description: 'Memory of the host that is never promised to a guest. Unit: MiB.',
      }),
      drive_dom0: switchKey({ fallback: false, description: 'Move the balloon of dom0 too; else it is only watched.' }),
      dom0_min_mib: wholeKey(MIB_LIMIT, {
        fallback: 1024,
        description: 'Least memory that dom0 is ever set to, where it is driven. Unit: MiB.',
      }),
    }),
    {},
  ),
  qmp: v.optional(
    section('The QEMU machines of this host, each driven through its monitor (QMP).', {
      sockets: pathListKey(
        QMP_SOCKETS_MAX,
        'The monitors\' unix sockets: paths, folders, or patterns with * and ?, for example ["/run/qemu/*.qmp"].',
      ),
      reserve_mib: wholeKey(MIB_LIMIT, {
        fallback: 1024,
        description: 'Memory of the host that is never promised to a guest. Unit: MiB.',
      }),
      guest_agent: switchKey({
        fallback: true,
        description: "Ask QEMU's guest agent what a guest needs, where a machine has a port for it.",
      }),
      own_agent: switchKey({
        fallback: true,
        description: 'Hear our own agent in a guest (selfballoon agent), where a machine has a port for it.',
      }),
    }),
    {},
  ),
  libvirt: v.optional(
    section('The domains of this host that libvirt runs, driven through it.', {
      uri: uriKey({
        fallback: 'qemu:///system',
        description:
          'What virsh connects to: qemu:///system, qemu:///session, or another libvirt of this host. Not one of another host, whose memory is not to be seen here.',
      }),
      reserve_mib: wholeKey(MIB_LIMIT, {
        fallback: 1024,
        description: 'Memory of the host that is never promised to a guest. Unit: MiB.',
      }),
      guest_agent: switchKey({
        fallback: true,
        description: "Ask QEMU's guest agent what a guest needs, where a domain has a channel for it.",
      }),
      own_agent: switchKey({
        fallback: true,
        description: 'Hear our own agent in a guest (selfballoon agent), where a domain has a channel for it.',
      }),
    }),
    {},
  ),
  agent: v.optional(
    section('The agent inside a guest, `selfballoon agent`.', {
      port: optionalPathKey({
        fallback: `the port of virtio-serial that is called ${OWN_PORT}`,
        description: 'The device that the agent writes its reports to.',
      }),
      root: pathKey({ fallback: '/', description: 'The folder under which proc, dev and sys are found.' }),
    }),
    {},
  ),
  guest: v.optional(
    v.pipe(v.record(v.string(), GUEST_SECTION), v.description('Limits of single guests: [guest."NAME or ID"].')),
    {},
  ),
});

/** The configuration as it is written, defaults filled in. */
export type WrittenConfig = v.InferOutput<typeof CONFIG_SCHEMA>;
