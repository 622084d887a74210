/** A disk with a file to be read, for guests that live from their page cache. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, openSync, closeSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { makeExt4 } from '../initrd.js';

/** The file, as the guest sees it. */
export const DATA_FILE = '/data/file';

const MIB = 2 ** 20;
/** For the file system's own. */
const OVERHEAD = 1.1;
const OVERHEAD_MIB = 16;

/** Makes an image in `folder` whose one file, `DATA_FILE`, has `mib` MiB that no disk leaves out as empty. */
export async function makeDataDisk(folder: string, mib: number): Promise<string> {
  const [root, image] = [join(folder, 'data.root'), join(folder, 'data.img')];
  mkdirSync(root);
  const block = randomBytes(MIB);
  const file = openSync(join(root, 'file'), 'w');
  for (let n = 0; n < mib; n += 1) writeSync(file, block);
  closeSync(file);
  await makeExt4(root, image, Math.ceil(mib * OVERHEAD) + OVERHEAD_MIB);
  rmSync(root, { recursive: true });
  return image;
}
