/** What `xl` and `xentop` print about memory: text → a sight of the host. It starts no process. */
import { known, unknown, type Field } from '../../control/signal.js';
import { kib } from '../../units.js';
import { NO_LIMIT_KIB, type DomainSight, type HostSight } from './sight.js';

const KIB_PER_MIB = 1024;
/** Lines that are looked at: a host has fewer domains. */
const LINES_MAX = 65_536;

export interface XlTexts {
  /** `xl info` */
  readonly info: string;
  /** `xl list` */
  readonly list: string;
  /** `xentop -b -f -i 1`; it knows KiB where `xl list` knows MiB, and names only. */
  readonly top: string;
}

/** Puts the three together. `malformed` when one lacks what it should have. */
export function parseSight({ info, list, top }: XlTexts): Field<HostSight> {
  const total = mibIn(info, 'total_memory');
  const free = mibIn(info, 'free_memory');
  if (total === null || free === null) return unknown('malformed', '`xl info` has no total_memory and free_memory');
  const ids = idsIn(list);
  const domains = rowsOf(top, ids);
  if (domains.length === 0) return unknown('malformed', '`xentop` shows no domain that `xl list` knows');
  return known({ total: kib(total * KIB_PER_MIB), free: kib(free * KIB_PER_MIB), domains });
}

function mibIn(info: string, name: string): number | null {
  const digits = new RegExp(`^${name}\\s*:\\s*(\\d{1,12})$`, 'm').exec(info)?.[1];
  return digits === undefined ? null : Number(digits);
}

/** Domain numbers by name, which may have blanks in it. The state is the fifth column; `d` in it is a domain that is dying. */
function idsIn(list: string): ReadonlyMap<string, { readonly domid: number; readonly isDying: boolean }> {
  const rows = list.split('\n', LINES_MAX).flatMap((line) => {
    const [, name = '', id = '', state = ''] = /^(\S.*?)\s+(\d{1,5})\s+\d+\s+\d+\s+([a-z-]{6})\s/.exec(line) ?? [];
    return name === '' ? [] : [[name, { domid: Number(id), isDying: state.includes('d') }] as const];
  });
  return new Map(rows);
}

/** `NAME STATE CPU(sec) CPU(%) MEM(k) MEM(%) MAXMEM(k) …`; a domain without a limit has words for it. */
function rowsOf(top: string, ids: ReturnType<typeof idsIn>): readonly DomainSight[] {
  return top.split('\n', LINES_MAX).flatMap((line) => {
    const row = /^\s*(\S.*?)\s+[a-z-]{6}\s+\d+\s+[\d.]+\s+(\d{1,15})\s+[\d.]+\s+(\d{1,15}|no limit)/.exec(line);
    const [, name = '', held = '', maximum = ''] = row ?? [];
    const id = ids.get(name);
    if (id === undefined) return [];
    const limit = maximum === 'no limit' ? NO_LIMIT_KIB : Number(maximum);
    return [{ ...id, held: kib(Number(held)), maximum: limit >= NO_LIMIT_KIB ? null : kib(limit) }];
  });
}
