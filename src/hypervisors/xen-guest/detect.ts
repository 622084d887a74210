/**
 * Where this machine stands with Xen: not on it, its initial domain (dom0), or a guest. Reads the few files that say so,
 * once, and says what it saw. A machine on Xen of which nothing tells whether it is the initial domain counts as one:
 * taking memory from dom0 by mistake hurts every guest.
 *
 * Sources: the kernel's Documentation/ABI/stable/sysfs-hypervisor-xen (`type`, `uuid`, `properties/features`,
 * `start_flags`), Xen's public header features.h (`XENFEAT_dom0`), and xenfs' `capabilities`.
 */
import { readOnce } from '../../signals/read-once.js';
import { XEN_MEMORY } from './balloon-files.js';

/** `seen` is what was found, in words for the log. */
export type XenSituation =
  | { readonly kind: 'not-xen'; readonly seen: string }
  | { readonly kind: 'initial-domain'; readonly seen: string }
  | {
      readonly kind: 'guest';
      readonly seen: string;
      /** The balloon driver's attribute files are there. */
      readonly hasBalloon: boolean;
    };

/** Bit 11 of the features: "operation as Dom0 is supported"; Xen sets it for the hardware domain only. */
const XENFEAT_DOM0 = 2n ** 11n;
/** The name that Xen gives its initial domain. */
const UUID_DOM0 = /^0{8}-0{4}-0{4}-0{4}-0{12}$/;

/** One source's word on whether this is the initial domain; null where the source is not there or not readable. */
interface Witness {
  readonly file: string;
  readonly isInitialDomain: (text: string) => boolean | null;
}

const WITNESSES: readonly Witness[] = [
  // Kernel 6.3 and newer.
  { file: 'sys/hypervisor/start_flags/initdomain', isInitialDomain: (text) => oneOf(text, { '1': true, '0': false }) },
  // Empty in a guest. Only there when xenfs is mounted.
  { file: 'proc/xen/capabilities', isInitialDomain: (text) => text.split(/\s+/).includes('control_d') },
  { file: 'sys/hypervisor/properties/features', isInitialDomain: hasDom0Feature },
  { file: 'sys/hypervisor/uuid', isInitialDomain: (text) => (text === '' ? null : UUID_DOM0.test(text)) },
];

/** Looks under `root` (`/` on a real machine). Never throws; what cannot be read counts as not there. */
export function detectXen(root: string): XenSituation {
  const type = readOnce(root, 'sys/hypervisor/type');
  const hasBalloon = readOnce(root, `${XEN_MEMORY}/target_kb`) !== null;
  const hasXenfs = readOnce(root, 'proc/xen/capabilities') !== null;
  const seen = [`/sys/hypervisor/type: ${type ?? 'not there'}`];
  if (hasBalloon) seen.push(`/${XEN_MEMORY} is there`);
  const saysOther = type !== null && type !== 'xen';
  if (saysOther || (type === null && !hasBalloon && !hasXenfs)) return { kind: 'not-xen', seen: seen.join(', ') };

  const words = WITNESSES.flatMap((witness) => {
    const word = hear(root, witness);
    return word === null ? [] : [{ file: witness.file, word }];
  });
  seen.push(...words.map(({ file, word }) => `/${file}: ${word ? 'initial domain' : 'not the initial domain'}`));
  if (words.length === 0) {
    seen.push('nothing tells whether this is the initial domain, so it is taken for it');
    return { kind: 'initial-domain', seen: seen.join(', ') };
  }
  if (words.some(({ word }) => word)) return { kind: 'initial-domain', seen: seen.join(', ') };
  return { kind: 'guest', seen: seen.join(', '), hasBalloon };
}

function hear(root: string, witness: Witness): boolean | null {
  const text = readOnce(root, witness.file);
  return text === null ? null : witness.isInitialDomain(text);
}

function hasDom0Feature(text: string): boolean | null {
  // Printed as hex digits, with or without the prefix; 16 of them hold every feature there is.
  const digits = /^(?:0x)?([0-9a-f]{1,16})$/i.exec(text)?.[1];
  return digits === undefined ? null : (BigInt(`0x${digits}`) / XENFEAT_DOM0) % 2n === 1n;
}

const oneOf = (text: string, words: Readonly<Record<string, boolean>>): boolean | null => words[text] ?? null;
