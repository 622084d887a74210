/**
 * Is the Xen lab set up, and where? `lab:setup` leaves a mark in the cache once everything is built; test runs read it, and need
 * neither packages' versions nor the network to know.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../cache.js';
import type { LabState } from '../mode.js';
import { findCommand } from '../tool.js';
import { imagesIn, missingPart, recipe, type XenImages } from './images.js';

interface Mark {
  readonly recipe: string;
  readonly folder: string;
}

/** What a run needs of this machine, besides the images. */
const TOOLS = ['qemu-system-x86_64', 'mke2fs', 'setpriv'];

const markPath = (cache: string): string => join(cache, 'xen-lab.json');

/** Says that the lab is ready in `folder`. */
export function markReady(folder: string, cache = cacheFolder()): void {
  const mark: Mark = { recipe: recipe(), folder };
  const unfinished = `${markPath(cache)}.${process.pid}`;
  writeFileSync(unfinished, `${JSON.stringify(mark)}\n`);
  renameSync(unfinished, markPath(cache));
}

/** Whether the lab can be booted now. Never throws. */
export function findXenLab(cache = cacheFolder()): LabState<XenImages> {
  const path = markPath(cache);
  if (!existsSync(path)) return { kind: 'missing', why: 'the Xen lab is not set up' };
  const mark = readMark(path);
  if (mark?.recipe !== recipe()) return { kind: 'missing', why: 'the Xen lab was set up by another version' };
  const images = imagesIn(mark.folder);
  const missing = missingPart(images) ?? TOOLS.find((tool) => findCommand(tool) === null) ?? null;
  if (missing !== null) return { kind: 'missing', why: `the Xen lab lacks ${missing}` };
  return { kind: 'ready', lab: images };
}

function readMark(path: string): Mark | null {
  try {
    const { recipe: made, folder } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Mark>;
    return typeof made === 'string' && typeof folder === 'string' ? { recipe: made, folder } : null;
  } catch {
    return null;
  }
}
