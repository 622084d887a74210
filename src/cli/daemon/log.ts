/** Sets the logger up: one line a message, as text for people or JSON for machines. */
import { configure, getAnsiColorFormatter, getJsonLinesFormatter, getLogger, getTextFormatter } from '@logtape/logtape';
import type { LogRecord, Logger, Sink, TextFormatterOptions } from '@logtape/logtape';
import type { Config } from '../../config/index.js';
import type { Tell } from '../../control/actions.js';

export const CATEGORY = 'selfballoon';

const LEVEL_WIDTH = 7;

/** Time, level, message: there is only one category, and a message is shown as it is. */
const TEXT_LOOK: TextFormatterOptions = {
  timestamp: 'time',
  value: (value) => String(value),
  format: ({ timestamp, message, record }) => `${timestamp} ${record.level.padEnd(LEVEL_WIDTH)} ${message}`,
};

/** What a log line is printed with. `write` gets whole lines. */
export async function openLog(log: Config['log'], write: (line: string) => void, colours: boolean): Promise<Logger> {
  const text = colours ? getAnsiColorFormatter : getTextFormatter;
  const format = log.format === 'json' ? getJsonLinesFormatter() : text(TEXT_LOOK);
  const sink: Sink = (record: LogRecord) => {
    write(format(record).trimEnd());
  };
  await configure({
    reset: true,
    sinks: { out: sink },
    loggers: [
      { category: CATEGORY, lowestLevel: log.level, sinks: ['out'] },
      { category: ['logtape', 'meta'], lowestLevel: 'warning', sinks: ['out'] },
    ],
  });
  return getLogger(CATEGORY);
}

/** Logs what the core wants told. */
export function logTell(logger: Logger, { level, code, guest, text }: Tell): void {
  const message = guest === null ? text : `${guest}: ${text}`;
  const properties = { message, code, guest };
  switch (level) {
    case 'debug':
      logger.debug('{message}', properties);
      break;
    case 'info':
      logger.info('{message}', properties);
      break;
    case 'warning':
      logger.warn('{message}', properties);
      break;
  }
}
