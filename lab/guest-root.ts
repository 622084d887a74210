/** What a guest's root file system is filled with: programs of this machine. */
import { chmodSync, cpSync, mkdirSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { runTool } from './tool.js';

/** Copies a program into the folder `root`, at `at` there, with the libraries that it needs, at the places where it looks for them. */
export async function installTool(root: string, tool: string, at: string): Promise<void> {
  const target = join(root, at, basename(tool));
  mkdirSync(dirname(target), { recursive: true });
  cpSync(realpathSync(tool), target);
  chmodSync(target, 0o755);
  for (const [, library = ''] of (await runTool('ldd', [tool])).matchAll(/(\/\S+\.so\S*)/g)) {
    mkdirSync(join(root, dirname(library)), { recursive: true });
    cpSync(realpathSync(library), join(root, library));
  }
}
