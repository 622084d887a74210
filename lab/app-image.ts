/**
 * The disk with the program under test, for dom0 and guests alike, mounted there at /app: made for each run, since the program
 * is what changes. It is what `npm install` of the packed program would leave, but taken from the repository's own folders, so
 * that a run needs no registry.
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeExt4 } from './initrd.js';

/** Seen: 14 MiB used. */
const IMAGE_MIB = 64;
const MAIN = 'node_modules/selfballoon/dist/src/cli/main.js';

interface LockedPackage {
  readonly dev?: boolean;
}

/** Makes the image `app.img` in `into`. `repository` is the program under test, compiled, with its packages installed. */
export async function makeAppImage(repository: string, into: string): Promise<string> {
  const app = join(into, 'app');
  const program = join(app, 'node_modules', 'selfballoon');
  mkdirSync(join(program, 'dist'), { recursive: true });
  cpSync(join(repository, 'package.json'), join(program, 'package.json'));
  cpSync(join(repository, 'dist', 'src'), join(program, 'dist', 'src'), { recursive: true });
  for (const path of productionPackages(repository)) copyPackage(realpathSync(join(repository, path)), join(app, path));
  writeFileSync(join(app, 'package.json'), '{"private":true,"type":"module"}');
  chmodSync(join(app, MAIN), 0o755);
  mkdirSync(join(app, 'bin'));
  symlinkSync(join('..', MAIN), join(app, 'bin', 'selfballoon'));
  copyLabTools(join(app, 'lab'));
  const image = join(into, 'app.img');
  await makeExt4(app, image, IMAGE_MIB);
  rmSync(app, { recursive: true });
  return image;
}

/** Folders of the packages that an installed program has, as the lock file names them; those for other machines are not there. */
function productionPackages(repository: string): readonly string[] {
  const text = readFileSync(join(repository, 'package-lock.json'), 'utf8');
  const { packages } = JSON.parse(text) as { readonly packages: Readonly<Record<string, LockedPackage>> };
  return Object.entries(packages)
    .filter(([path, { dev }]) => path !== '' && dev !== true && existsSync(join(repository, path)))
    .map(([path]) => path);
}

/** Without the packages inside it, which the lock file names too. */
function copyPackage(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  const inner = join(from, 'node_modules');
  cpSync(from, to, { recursive: true, filter: (path) => path !== inner });
}

/** What runs inside: dom0's agent and the tools for guests, with their places next to each other kept. */
function copyLabTools(to: string): void {
  const compiled = fileURLToPath(new URL('.', import.meta.url));
  for (const [from, name] of [
    [join('xen', 'agent'), 'agent'],
    [join('xen', 'protocol.js'), 'protocol.js'],
    ['guest', 'guest'],
    [join('..', 'bench', 'overhead.js'), join('bench', 'overhead.js')],
    [join('..', 'bench', 'calibrate.js'), join('bench', 'calibrate.js')],
  ] as const)
    cpSync(join(compiled, from), join(to, name), { recursive: true });
}
