/** Writes the reference pages that are made from tables in the code. With --check: says which of them are out of date. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { createProgram } from '../src/cli/program.js';
import { CONFIG_KEYS } from '../src/config/index.js';
import { acceptedText, TUNABLES } from '../src/control/tunables.js';
import { configJsonSchema } from './config-json-schema.js';

const FOLDER = fileURLToPath(new URL('../../docs/reference/', import.meta.url));
const MADE = '<!-- Made by `npm run docs` from the tables in the code. Do not edit. -->';

const cell = (text: string): string => text.replaceAll('|', '\\|');
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.map(cell).join(' | ')} |`).join('\n');

const configuration = (): string => `${MADE}
# Configuration

A TOML file, \`/etc/selfballoon.toml\` unless \`--config\` names another. Environment variables override the file, and flags
override both. Unknown keys are refused, with the line and the nearest known key. For editors there is a JSON Schema:
\`docs/reference/config.schema.json\`.

${table(
  ['key', 'allowed', 'default', 'environment variable', 'meaning'],
  CONFIG_KEYS.map((row) => [
    `\`${row.key}\``,
    row.allowed,
    `\`${row.default}\``,
    row.env === null ? 'none' : `\`${row.env}\``,
    row.description,
  ]),
)}
`;

const tunables = (): string => `${MADE}
# Tunables

Read with \`selfballoon get NAME\`, \`GET /v1/tunables/NAME\` or \`cat\` of the attribute file; written with
\`selfballoon set NAME VALUE\`, \`PUT /v1/tunables/NAME\` or \`echo VALUE >\` the attribute file; and given for the start in the
configuration's section \`[tunables]\`. A value is a decimal integer: an optional \`+\`, digits, at most one newline at the end.
Anything else, or a value out of range, is \`EINVAL\`; a writer without the administrator's right gets \`EPERM\`. A refused write
changes nothing. The tunables that begin with \`frontswap_\` exist only where there is an overflow tier. Whether the two switches
are on at the start is decided by the start-up rule.

${table(
  ['name', 'unit', 'default', 'accepts', 'meaning'],
  TUNABLES.map((row) => [`\`${row.name}\``, row.unit, String(row.default), acceptedText(row), row.summary]),
)}

Writing \`frontswap_inertia\` also sets the running countdown to the new value. Switching \`selfballooning\` on starts the step
one interval later; switching \`frontswap_selfshrinking\` on does so unless self-ballooning already runs it.
`;

/** The help has a fixed width, so that the page does not depend on the terminal. */
function helpOf(command: Command): string {
  command.configureHelp({ helpWidth: 110 });
  return `## \`${command.name()}\`\n\n\`\`\`text\n${command.helpInformation().trimEnd()}\n\`\`\``;
}

const commands = (): string => `${MADE}
# Commands

Every command exits with 0 when all is well and with 1 when something failed; then it says in one sentence what was wrong and
what to do.

${createProgram('0').commands.map(helpOf).join('\n\n')}
`;

const PAGES: Readonly<Record<string, () => string>> = {
  'configuration.md': configuration,
  'tunables.md': tunables,
  'commands.md': commands,
  'config.schema.json': () => `${JSON.stringify(configJsonSchema(), null, 2)}\n`,
};

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

const stale = Object.entries(PAGES)
  .map(([name, make]) => ({ path: join(FOLDER, name), text: make() }))
  .filter(({ path, text }) => readOrNothing(path) !== text);
if (process.argv.includes('--check')) {
  for (const { path } of stale) console.error(`${path} is out of date: run \`npm run docs\``);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  for (const { path, text } of stale) writeFileSync(path, text);
}
