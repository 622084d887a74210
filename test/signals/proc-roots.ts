/** Folders that stand in for `/`, for readers that take a root. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { fixture } from '../support/paths.js';

export const KERNELS = ['linux-6.18', 'numa-two-nodes', 'big-24-tib', 'xen-guest-256-mib', 'linux-3.10'] as const;

/** The text of one file of a kernel's `/proc`. */
export const procText = (kernel: string, ...parts: readonly string[]): string =>
  readFileSync(fixture('proc', kernel, ...parts), 'utf8');

/** An empty folder that is gone after the test. */
export function temporaryFolder(test: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'selfballoon-signals-'));
  test.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** A root whose `/proc` is a kernel's fixture. */
export function fixtureRoot(test: TestContext, kernel: string): string {
  const root = temporaryFolder(test);
  symlinkSync(fixture('proc', kernel), join(root, 'proc'));
  return root;
}

/** A root with these files, by path. Returns it. */
export function writeRoot(test: TestContext, files: Readonly<Record<string, string>>): string {
  const root = temporaryFolder(test);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}
