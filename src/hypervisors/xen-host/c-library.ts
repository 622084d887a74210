/** Finds Xen's C libraries in dom0, and says what is to be done when one cannot be used. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { errorText, HypervisorError } from '../../errors.js';

/** Where distributions put them. Their names carry Xen's version, so that the loader's own search does not find them. */
const FOLDERS = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib', '/usr/local/lib'];

/** Finds `libNAME.so`, the newest version where an upgrade has left others. Throws `HypervisorError` `ENODEV` where there is none. */
export function findLibrary(name: string, folders: readonly string[] = FOLDERS): string {
  const pattern = new RegExp(`^lib${name}\\.so(\\.[\\d.]+)?$`);
  for (const folder of folders) {
    const found = namesIn(folder).find((candidate) => pattern.test(candidate));
    if (found !== undefined) return join(folder, found);
  }
  throw unusable(`there is no lib${name} in ${folders.join(', ')}`);
}

/** Loads a library's calls. Throws `HypervisorError` `ENODEV` where that fails. */
export async function loadCalls<Calls>(
  path: string,
  declare: (func: (prototype: string) => CFunction) => Calls,
): Promise<Calls> {
  try {
    const { default: koffi } = await import('koffi');
    const library = koffi.load(path);
    return declare((prototype) => library.func(prototype));
  } catch (error) {
    throw unusable(`${path} cannot be used: ${errorText(error)}`, error);
  }
}

/** A C function as koffi gives it. */
export type CFunction = ((...args: readonly unknown[]) => unknown) & {
  readonly async: (...args: readonly unknown[]) => unknown;
};

/** Calls off the event loop. */
export function callAside(func: CFunction, ...args: readonly unknown[]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    func.async(...args, (error: unknown, result: unknown) => {
      if (error instanceof Error) reject(error);
      else resolve(result);
    });
  });
}

export const unusable = (message: string, cause?: unknown): HypervisorError =>
  new HypervisorError({
    code: 'ENODEV',
    message,
    advice: 'Install libxenmisc (Debian) or xen-libs (Fedora), and run it as root in dom0 with /proc/xen mounted',
    ...(cause === undefined ? {} : { cause }),
  });

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
  } catch {
    // Most machines have only some of the folders.
    return [];
  }
}
