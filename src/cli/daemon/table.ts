/** The table of guests, for the live view and for `status`. */
import { styleText } from 'node:util';
import Table from 'cli-table3';
import { visible } from '../../errors.js';
import { mibText, type Shown, type ShownGuest } from './summary.js';

interface Column {
  readonly head: string;
  readonly width: number;
  readonly align: 'left' | 'right';
  readonly cell: (guest: ShownGuest) => string;
  /** Left out on screens narrower than this. */
  readonly widthMin: number;
}

const kindOf = (guest: ShownGuest): string => (guest.isSimulated ? ' (simulated)' : '');

const size = (head: string, of: (guest: ShownGuest) => number | null, widthMin = 0): Column => ({
  head,
  width: 9,
  align: 'right',
  cell: (guest) => mibText(of(guest)),
  widthMin,
});

/** Widths are with cli-table3's blank on either side. On 80 columns goal and reason make way. */
const COLUMNS: readonly Column[] = [
  { head: 'guest', width: 26, align: 'left', cell: (guest) => guest.name + kindOf(guest), widthMin: 0 },
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
  const columns = columnsFor(screen.width);
  const table = new Table({
    head: columns.map(({ head }) => (screen.isTerminal ? styleText('bold', head, { validateStream: false }) : head)),
    colWidths: columns.map(({ width }) => width),
    colAligns: columns.map(({ align }) => align),
    chars: BARE_TABLE,
    style: { head: [], border: [], compact: true },
  });
  const head = headLines(shown);
  const guests = shown.guests.slice(0, rowsFor(screen, head.length));
  for (const guest of guests) table.push(columns.map(({ cell }) => visible(cell(guest))));
  const left = shown.guests.length - guests.length;
  const foot = left === 0 ? 'Sizes in MiB.' : `Sizes in MiB. ${left} more do not fit on this screen.`;
  return [...head, '', table.toString(), '', foot].join('\n');
}

function columnsFor(width: number): readonly Column[] {
  const fitting = COLUMNS.filter(({ widthMin }) => width >= widthMin);
  const rest = width - fitting.reduce((sum, column) => sum + column.width, 0) - 1;
  return width < WHY.widthMin ? fitting : [...fitting, { ...WHY, width: rest }];
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
