/** The small commands that ask a running daemon: `status`, `get`, `set`. */
import * as v from 'valibot';
import { SelfballoonError, visible, visibleLines } from '../../errors.js';
import { decodeStatus } from '../../server/status.js';
import { renderTable, type Screen } from '../daemon/table.js';
import { ask, type AskFlags } from './ask.js';

type Print = (text: string) => void;

/** Columns of a status that goes to a file or a pipe. */
const WIDTH_DEFAULT = 160;

export async function showStatus(flags: AskFlags & { readonly json?: boolean }, print: Print): Promise<void> {
  const body = await ask(flags, 'GET', '/v1/status');
  if (flags.json === true) print(visibleLines(body.trimEnd()));
  else print(renderTable(decodeStatus(body), screen()));
}

const tunableList = v.object({
  tunables: v.array(v.object({ name: v.string(), value: v.union([v.number(), v.string()]), unit: v.string() })),
});

function screen(): Screen {
  const { isTTY: isTerminal, columns } = process.stdout;
  return { isTerminal, width: isTerminal ? columns : WIDTH_DEFAULT, height: null };
}

/** One tunable's value, or all of them by name. */
export async function getTunables(name: string | undefined, flags: AskFlags, print: Print): Promise<void> {
  if (name !== undefined) {
    print(visibleLines((await ask(flags, 'GET', tunablePath(name))).trimEnd()));
    return;
  }
  const { tunables } = v.parse(tunableList, JSON.parse(await ask(flags, 'GET', '/v1/tunables')));
  for (const tunable of tunables) print(visible(`${tunable.name} ${tunable.value}`));
}

/** Writes a tunable. Throws `SelfballoonError` `EPERM`, `EINVAL` or `ENOENT` as the daemon answers. */
export async function setTunable(name: string, value: string, flags: AskFlags): Promise<void> {
  await ask(flags, 'PUT', tunablePath(name), value);
}

function tunablePath(name: string): string {
  if (name !== '') return `/v1/tunables/${encodeURIComponent(name)}`;
  const message = 'the name of a tunable is empty';
  throw new SelfballoonError({ code: 'EINVAL', message, advice: 'See them all with `selfballoon get`' });
}
