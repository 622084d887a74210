/** Finds Xen's C libraries in dom0, and says what is to be done when one cannot be used. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { errorText, HypervisorError } from '../../errors.js';
import { readOnce } from '../../signals/read-once.js';

/** Where distributions put them. Their names carry Xen's version, so that the loader's own search does not find them. */
const FOLDERS = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib', '/usr/local/lib'];

/**
 * Finds `libNAME.so`: of the version of the Xen that runs, where an upgrade has put others beside it, for Xen answers no other; else the
 * newest. Throws `HypervisorError` `ENODEV` where there is none.
 */
export function findLibrary(
  name: string,
  folders: readonly string[] = FOLDERS,
  running: string | null = runningVersion(),
): string {
  const any = new RegExp(`^lib${name}\\.so(\\.[\\d.]+)?$`);
  const ofRunning = (file: string): boolean => `${file}.`.startsWith(`lib${name}.so.${running}.`);
  const found = folders.flatMap((folder) => namesIn(folder).map((file) => ({ folder, file })));
  const libraries = found.filter(({ file }) => any.test(file));
  const one = libraries.find(({ file }) => ofRunning(file)) ?? libraries[0];
  if (one === undefined) throw unusable(`there is no lib${name} in ${folders.join(', ')}`);
  return join(one.folder, one.file);
}

/** As the kernel says it (Documentation/ABI/stable/sysfs-hypervisor-xen), `4.17` for example; null: it does not. */
function runningVersion(): string | null {
  const part = (name: string): string | null => readOnce('/', `sys/hypervisor/version/${name}`);
  const [major, minor] = [part('major'), part('minor')];
  return major === null || minor === null ? null : `${major}.${minor}`;
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
