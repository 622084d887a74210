/** The table of guests, for the live view and for `status`. */
import Table from 'cli-table3';
import { mibText, type Shown, type ShownGuest } from './summary.js';

const HEAD = ['guest', 'current', 'goal', 'target', 'of', 'state', 'why'];
/** Widths of all columns but the last, with cli-table3's blank on either side. */
const WIDTHS = [26, 9, 9, 9, 9, 14];
const WHY_WIDTH_MIN = 20;
const BARE_TABLE = {
  ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '', 'bottom-left': '' },
  ...{ 'bottom-right': '', left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '' },
};

export interface Screen {
  /** In columns. */
  readonly width: number;
  /** Understands escape sequences. */
  readonly isTerminal: boolean;
}

/** It as text for that screen. All sizes in MiB. */
export function renderTable(shown: Shown, { width, isTerminal }: Screen): string {
  const whyWidth = Math.max(WHY_WIDTH_MIN, width - WIDTHS.reduce((all, one) => all + one, 0) - 1);
  const table = new Table({
    head: HEAD,
    colWidths: [...WIDTHS, whyWidth],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'left', 'left'],
    chars: BARE_TABLE,
    style: { head: isTerminal ? ['bold'] : [], border: [], compact: true },
  });
  for (const row of shown.guests) table.push(cells(row));
  return [...headLines(shown), '', table.toString(), '', 'Sizes in MiB.'].join('\n');
}

function headLines(shown: Shown): readonly string[] {
  const mode = shown.isDryRun ? ['DRY RUN: decisions are shown, nothing is changed.'] : [];
  return [...mode, ...shown.sources.map((source) => `Here: ${source}.`)];
}

const kindOf = (row: ShownGuest): string => (row.isSimulated ? ' (simulated)' : '');

const cells = (row: ShownGuest): string[] => [
  row.name + kindOf(row),
  mibText(row.currentPages),
  mibText(row.goalPages),
  mibText(row.targetPages),
  mibText(row.maximumPages),
  row.phase,
  row.isDriven ? row.why : `observed only; ${row.why}`,
];
