/** A configuration file in a folder of its own, for one test. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { loadConfig, type LoadedConfig } from '../../src/config/index.js';
import { SelfballoonError } from '../../src/errors.js';

/** Writes `content` to a file that is removed after the test; returns its path. */
export function temporaryFile(context: TestContext, content: string | Uint8Array): string {
  const folder = mkdtempSync(join(tmpdir(), 'selfballoon-config-'));
  context.after(() => {
    rmSync(folder, { recursive: true });
  });
  const path = join(folder, 'selfballoon.toml');
  writeFileSync(path, content);
  return path;
}

export const loadText = (context: TestContext, text: string): Promise<LoadedConfig> =>
  loadConfig({ file: temporaryFile(context, text), env: {}, flags: {} });

/** The message of the `ECONFIG` that loading gives, without the file's folder and without the advice. */
export async function problemIn(load: Promise<LoadedConfig>): Promise<string> {
  const outcome = await load.then(
    () => null,
    (error: unknown) => error,
  );
  if (!(outcome instanceof SelfballoonError) || outcome.code !== 'ECONFIG') {
    throw new Error(`expected ECONFIG, not ${String(outcome)}`);
  }
  // Between a message and its advice stands a full stop, unless the message ends with a mark of its own.
  const advice = ` ${outcome.advice ?? ''}`;
  return outcome.message
    .replace(`.${advice}`, '')
    .replace(advice, '')
    .replaceAll(/\/\S*\/(?=selfballoon\.toml)/g, '');
}
