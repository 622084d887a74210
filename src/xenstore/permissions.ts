/**
 * The permissions of a node: a list whose first entry names the owner, with what everybody not listed may do; the others say what
 * one domain each may do. It does not know who may change them.
 */
import { quoted } from '../errors.js';
import { misunderstood, invalid, type Subject } from './errors.js';

export type Access = 'none' | 'read' | 'write' | 'both';

export interface Permission {
  /** 0 to 65535. */
  readonly domid: number;
  readonly access: Access;
}

const LETTERS: Readonly<Record<Access, string>> = { none: 'n', read: 'r', write: 'w', both: 'b' };
const ACCESSES: ReadonlyMap<string, Access> = new Map([
  ['n', 'none'],
  ['r', 'read'],
  ['w', 'write'],
  ['b', 'both'],
]);
const TEXT = /^([nrwb])([0-9]{1,5})$/;
const DOMID_MAX = 65_535;

/** Domain numbers of the protocol are 0 to 65535. Throws `XenstoreError` (EINVAL) for anything else. */
export function checkDomid(domid: number): void {
  if (Number.isInteger(domid) && domid >= 0 && domid <= DOMID_MAX) return;
  throw invalid(`${domid} is not the number of a domain`, `Use a whole number from 0 to ${DOMID_MAX}`);
}

/** `r7`: domain 7 may read. Throws `XenstoreError` (EINVAL) for an impossible domain number. */
export function formatPermission({ domid, access }: Permission): string {
  checkDomid(domid);
  return `${LETTERS[access]}${domid}`;
}

/** The opposite of `formatPermission`. Throws `XenstoreError` (EPROTO) for anything else. */
export function parsePermission(text: string, asked: Subject): Permission {
  const [, letter = '', digits = ''] = TEXT.exec(text) ?? [];
  const access = ACCESSES.get(letter);
  const domid = Number(digits);
  if (access === undefined || domid > DOMID_MAX) throw misunderstood(asked, `has ${quoted(text)} for a permission`);
  return { domid, access };
}
