/**
 * The operations of the xenstore protocol and their numbers on the wire, as of Xen 4.17 (`xen/io/xs_wire.h`). It does not know
 * what any of them carries.
 */

/** 20 was RESTRICT. It is no longer part of the protocol and counts as unknown. */
const NUMBERS = {
  CONTROL: 0,
  DIRECTORY: 1,
  READ: 2,
  GET_PERMS: 3,
  WATCH: 4,
  UNWATCH: 5,
  TRANSACTION_START: 6,
  TRANSACTION_END: 7,
  INTRODUCE: 8,
  RELEASE: 9,
  GET_DOMAIN_PATH: 10,
  WRITE: 11,
  MKDIR: 12,
  RM: 13,
  SET_PERMS: 14,
  WATCH_EVENT: 15,
  ERROR: 16,
  IS_DOMAIN_INTRODUCED: 17,
  RESUME: 18,
  SET_TARGET: 19,
  RESET_WATCHES: 21,
  DIRECTORY_PART: 22,
} as const;

/** The name of an operation, without the header file's `XS_`. */
export type Operation = keyof typeof NUMBERS;

/** Every operation with its number. */
export const OPERATION_NUMBERS: Readonly<Record<Operation, number>> = NUMBERS;

const isOperation = (name: string): name is Operation => name in NUMBERS;
const NAMES: ReadonlyMap<number, Operation> = new Map(
  Object.keys(NUMBERS)
    .filter(isOperation)
    .map((name) => [NUMBERS[name], name]),
);

/** The operation of a number on the wire, or null where the protocol has none. */
export const operationOf = (number: number): Operation | null => NAMES.get(number) ?? null;
