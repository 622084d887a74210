/** Sets the logger up: one line a message, as text for people or JSON for machines. */
import { configure, getAnsiColorFormatter, getJsonLinesFormatter, getLogger, getTextFormatter } from '@logtape/logtape';
import type { LogRecord, Logger, Sink, TextFormatterOptions } from '@logtape/logtape';
import type { Config } from '../../config/index.js';
import { visible } from '../../errors.js';
import type { GuestLine } from './failure-lines.js';

export const CATEGORY = 'selfballoon';

const LEVEL_WIDTH = 7;

/** Time, level, message: there is only one category, and a message is shown as it is. */
const TEXT_LOOK: TextFormatterOptions = {
  timestamp: 'time',
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

/**
 * LogTape reads braces as places for properties; in a message that is meant as it stands they are only braces. And a message has one
 * line, whatever the paths and the words of others in it are.
 */
const literal = (message: string): string => visible(message).replaceAll('{', '{{').replaceAll('}', '}}');

export type Say = (message: string) => void;

export const sayDebug = (logger: Logger): Say => {
  return (message) => {
    logger.debug(literal(message));
  };
};

export const sayInfo = (logger: Logger): Say => {
  return (message) => {
    logger.info(literal(message));
  };
};

export const sayWarning = (logger: Logger): Say => {
  return (message) => {
    logger.warn(literal(message));
  };
};

/** Logs a line about guests. */
export function logLine(logger: Logger, { level, code, guest, text }: GuestLine): void {
  const message = literal(guest === null ? text : `${guest}: ${text}`);
  switch (level) {
    case 'debug':
      logger.debug(message, { code, guest });
      break;
    case 'info':
      logger.info(message, { code, guest });
      break;
    case 'warning':
      logger.warn(message, { code, guest });
      break;
  }
}
