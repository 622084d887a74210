/** What the guests of the QEMU lab boot from: where the parts lie in a folder of the cache, and how they are made. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { keyOf } from '../cache.js';
import { kernelIn } from '../kernel.js';
import { INIT, MODULES } from './init.js';

export interface QemuImages {
  readonly kernel: string;
  readonly initrd: string;
  /** A disk with Node.js and QEMU's guest agent, read-only. */
  readonly tools: string;
}

/** Raised when something else is built from the same packages, scripts and sources. */
const LAYOUT = '1';

/** The load program's source, in the repository; this file runs from `dist/lab/qemu`. */
export const LOAD_SOURCE = fileURLToPath(new URL('../../../lab/guest/load', import.meta.url));

/** Names how the images are made, whatever packages they are made of. */
export function recipe(): string {
  const sources = readdirSync(LOAD_SOURCE).sort();
  return keyOf(LAYOUT, INIT, ...MODULES, ...sources.map((name) => readFileSync(join(LOAD_SOURCE, name), 'utf8')));
}

/** The parts in `folder`, whether or not they have been made yet. */
export function imagesIn(folder: string): QemuImages {
  return {
    kernel: kernelIn(join(folder, 'kernel')).image,
    initrd: join(folder, 'initrd.gz'),
    tools: join(folder, 'tools.img'),
  };
}

/** The first part that is not there; null when all are. */
export function missingPart({ kernel, initrd, tools }: QemuImages): string | null {
  return [kernel, initrd, tools].find((part) => !existsSync(part)) ?? null;
}
