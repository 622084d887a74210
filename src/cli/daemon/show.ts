/** Shows the running daemon: a live table on a terminal, otherwise one line a round. */
import type { GuestDecision } from '../../control/actions.js';
import type { ReadModel } from '../../runtime/read-model.js';
import { summarise } from './summary.js';

/** Screens are drawn this often. */
const REDRAW_MS = 500;
/** How many log lines stay under the table. */
const LINES_KEPT = 6;
/** Summary lines are at least this far apart, however fast simulated time goes. */
const SUMMARY_MS_MIN = 900;

export interface Show {
  /** Takes a line of the log. */
  line(text: string): void;
  /** Told after every step with what was decided in it. */
  afterStep(decisions: readonly GuestDecision[]): void;
  /** Begins, now that there is something to show. */
  begin(readModel: ReadModel): void;
  close(): void;
}

/** One line a round, written to `write`. */
export function lineShow(write: (line: string) => void, log: (line: string) => void): Show {
  let readModel: ReadModel | null = null;
  let lastAt = -Infinity;
  return {
    line: write,
    begin: (model) => (readModel = model),
    afterStep(decisions) {
      const now = performance.now();
      if (readModel === null || decisions.length === 0 || now - lastAt < SUMMARY_MS_MIN) return;
      lastAt = now;
      log(summarise(readModel.snapshot()));
    },
    close: () => undefined,
  };
}

/** A table that is drawn again and again in the same place, with the last log lines under it. Off a terminal it is not even loaded. */
export async function tableShow(output: NodeJS.WriteStream): Promise<Show> {
  const { createLogUpdate } = await import('log-update');
  const { renderTable } = await import('./table.js');
  const draw = createLogUpdate(output);
  const lines: string[] = [];
  let timer: NodeJS.Timeout | null = null;
  let readModel: ReadModel | null = null;
  const redraw = (): void => {
    if (readModel === null) return;
    draw(
      [
        renderTable(readModel.snapshot(), {
          width: output.columns,
          height: output.rows - lines.length - 1,
          isTerminal: true,
        }),
        '',
        ...lines,
      ].join('\n'),
    );
  };
  return {
    line(text) {
      lines.push(text);
      if (lines.length > LINES_KEPT) lines.shift();
      if (readModel === null) output.write(`${text}\n`);
    },
    begin(model) {
      readModel = model;
      timer = setInterval(redraw, REDRAW_MS);
    },
    afterStep: () => undefined,
    close() {
      if (timer !== null) clearInterval(timer);
      redraw();
      draw.done();
      readModel = null;
    },
  };
}
