/** Shows the running daemon: a live table on a terminal, otherwise a line when there is something to say. */
import type { GuestDecision } from '../../control/actions.js';
import { SummaryNews } from './summary-news.js';
import { summarise, type Shown } from './summary.js';

/** Screens are drawn this often. */
const REDRAW_MS = 500;
/** How many log lines stay under the table. */
const LINES_KEPT = 6;
/** Summary lines are at least this far apart, however fast simulated time goes. */
const SUMMARY_MS_MIN = 900;

/** Where what is shown is taken from. */
export interface Shows {
  snapshot(): Shown;
}

export interface Show {
  /** Takes a line of the log. */
  line(text: string): void;
  /** Told after every step with what was decided in it. */
  afterStep(decisions: readonly GuestDecision[]): void;
  /** Begins, now that there is something to show. */
  begin(readModel: Shows): void;
  close(): void;
}

export interface SummaryLog {
  /** A summary that says something new. */
  readonly info: (line: string) => void;
  /** That of any other round. */
  readonly debug: (line: string) => void;
}

/** Log lines go to `write`; summaries to `log`, one a round. `now` in milliseconds. */
export function lineShow(
  write: (line: string) => void,
  log: SummaryLog,
  now: () => number = () => performance.now(),
): Show {
  const news = new SummaryNews();
  let readModel: Shows | null = null;
  let lastAt = -Infinity;
  return {
    line: write,
    begin: (model) => (readModel = model),
    afterStep(decisions) {
      const at = now();
      if (readModel === null || decisions.length === 0 || at - lastAt < SUMMARY_MS_MIN) return;
      lastAt = at;
      const shown = readModel.snapshot();
      const say = news.isNews(shown, at) ? log.info : log.debug;
      say(summarise(shown));
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
  let readModel: Shows | null = null;
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
