/**
 * Is a lab set up, and where? `lab:setup` leaves a mark in the cache once everything is built; test runs read it, and need neither
 * packages' versions nor the network to know.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from './cache.js';
import type { LabState } from './mode.js';
import { findCommand } from './tool.js';

interface Mark {
  readonly recipe: string;
  readonly folder: string;
}

/** What a lab is made of, and how one knows it again. */
export interface Markable<Images> {
  /** As it stands in sentences. */
  readonly name: string;
  /** The mark's file in the cache. */
  readonly file: string;
  /** Names how the images are made. */
  readonly recipe: () => string;
  readonly imagesIn: (folder: string) => Images;
  /** The first part that is not there; null when all are. */
  readonly missingPart: (images: Images) => string | null;
  /** What a run needs of this machine, besides the images. */
  readonly tools: readonly string[];
}

/** Says that the lab is ready in `folder`. */
export function markReady(lab: Pick<Markable<unknown>, 'file' | 'recipe'>, folder: string, cache: string): void {
  const mark: Mark = { recipe: lab.recipe(), folder };
  const path = join(cache, lab.file);
  const unfinished = `${path}.${process.pid}`;
  writeFileSync(unfinished, `${JSON.stringify(mark)}\n`);
  renameSync(unfinished, path);
}

/** Whether the lab can be booted now. Never throws. */
export function findLab<Images>(lab: Markable<Images>, cache = cacheFolder()): LabState<Images> {
  const path = join(cache, lab.file);
  if (!existsSync(path)) return { kind: 'missing', why: `the ${lab.name} lab is not set up` };
  const mark = readMark(path);
  if (mark?.recipe !== lab.recipe())
    return { kind: 'missing', why: `the ${lab.name} lab was set up by another version` };
  const images = lab.imagesIn(mark.folder);
  const missing = lab.missingPart(images) ?? lab.tools.find((tool) => findCommand(tool) === null) ?? null;
  if (missing !== null) return { kind: 'missing', why: `the ${lab.name} lab lacks ${missing}` };
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
