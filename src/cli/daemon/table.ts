/** The table of guests, for the live view and for `status`. */
import { styleText } from 'node:util';
import Table from 'cli-table3';
import { visible } from '../../errors.js';
import { calledAmong, mibText, type Shown, type ShownGuest } from './summary.js';

interface Column {
  readonly head: string;
  readonly width: number;
  readonly align: 'left' | 'right';
  readonly cell: (guest: ShownGuest, called: string, width: number) => string;
  /** Left out on screens narrower than this. */
  readonly widthMin: number;
}

const kindOf = (guest: ShownGuest): string => (guest.isSimulated ? ' (simulated)' : '');

/** Ids of guests with one name differ in what stands last: they are cut in front. */
function nameCell(guest: ShownGuest, called: string, width: number): string {
  const text = called + kindOf(guest);
  const room = width - BLANKS;
  return called === guest.name || text.length <= room ? text : `…${text.slice(1 - room)}`;
}

const size = (head: string, of: (guest: ShownGuest) => number | null, widthMin = 0): Column => ({
  head,
  width: 9,
  align: 'right',
  cell: (guest) => mibText(of(guest)),
  widthMin,
});

const CALLED_WIDTH = 26;
const BLANKS = 2;
/** The reason keeps so much where ids, which are longer than names, want more. */
const WHY_WIDTH_MIN = 40;

/** Widths are with cli-table3's blank on either side. On 80 columns goal and reason make way. */
const COLUMNS: readonly Column[] = [
  { head: 'guest', width: CALLED_WIDTH, align: 'left', cell: nameCell, widthMin: 0 },
  size('current', (guest) => guest.currentPages),
  size('goal', (guest) => guest.goalPages, 100),
  size('target', (guest) => guest.targetPages),
  size('of', (guest) => guest.maximumPages),
  { head: 'state', width: 15, align: 'left', cell: (guest) => guest.phase, widthMin: 0 },
];
const WHY: Omit<Column, 'width'> = {
  head: 'why',
  align: 'left',
  cell: (guest) => (guest.isDriven ? guest.why : `observed only; ${guest.why}`),
  widthMin: 100,
};
const BARE_TABLE = {
  ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '', 'bottom-left': '' },
  ...{ 'bottom-right': '', left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '' },
};

export interface Screen {
  /** In columns. */
  readonly width: number;
  /** In rows; null = as long as it takes. */
  readonly height: number | null;
  /** Understands escape sequences. */
  readonly isTerminal: boolean;
}

/** It as text for that screen. All sizes in MiB. Guests for which there is no row are counted. */
export function renderTable(shown: Shown, screen: Screen): string {
  const called = calledAmong(shown.guests);
  const columns = columnsFor(screen.width, idsIn(shown, called));
  const table = new Table({
    head: columns.map(({ head }) => (screen.isTerminal ? styleText('bold', head, { validateStream: false }) : head)),
    colWidths: columns.map(({ width }) => width),
    colAligns: columns.map(({ align }) => align),
    chars: BARE_TABLE,
    style: { head: [], border: [], compact: true },
  });
  const head = headLines(shown);
  const guests = shown.guests.slice(0, rowsFor(screen, head.length));
  for (const [n, guest] of guests.entries()) {
    table.push(columns.map(({ cell, width }) => visible(cell(guest, called[n] ?? guest.id, width))));
  }
  const left = shown.guests.length - guests.length;
  const foot = left === 0 ? 'Sizes in MiB.' : `Sizes in MiB. ${left} more do not fit on this screen.`;
  return [...head, '', table.toString(), '', foot].join('\n');
}

/** What stands in the place of names, where it is longer. */
const idsIn = ({ guests }: Shown, called: readonly string[]): readonly string[] =>
  guests.flatMap((guest, n) => (called[n] === guest.name ? [] : [`${called[n]}${kindOf(guest)}`]));

function columnsFor(width: number, ids: readonly string[]): readonly Column[] {
  const fitting = COLUMNS.filter(({ widthMin }) => width >= widthMin);
  const isWide = width >= WHY.widthMin;
  const rest = width - fitting.reduce((sum, column) => sum + column.width, 0) - 1;
  const wanted = Math.max(0, ...ids.map(({ length }) => length + BLANKS - CALLED_WIDTH));
  const more = Math.min(wanted, Math.max(0, isWide ? rest - WHY_WIDTH_MIN : rest));
  const columns = fitting.map((column, n) => (n === 0 ? { ...column, width: column.width + more } : column));
  return isWide ? [...columns, { ...WHY, width: rest - more }] : columns;
}

/** The table's own heading, the blank lines around it and the last line take five. */
const rowsFor = ({ height }: Screen, headLength: number): number =>
  height === null ? Infinity : Math.max(1, height - headLength - 5);

function headLines(shown: Shown): readonly string[] {
  const mode = shown.isDryRun ? ['DRY RUN: decisions are shown, nothing is changed.'] : [];
  const hosts = shown.hosts.map(
    ({ freePages, totalPages }) => `The host has ${mibText(freePages)} of ${mibText(totalPages)} MiB free.`,
  );
  return [...mode, ...shown.sources.map((source) => `Here: ${visible(source)}.`), ...hosts];
}
