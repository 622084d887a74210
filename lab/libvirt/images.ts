/** What the guests of the libvirt lab boot from: the QEMU lab's images, where libvirtd may read them. */
import { chmodSync, constants, copyFileSync, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { LabState } from '../mode.js';
import type { QemuImages } from '../qemu/images.js';
import { findQemuLab } from '../qemu/marker.js';
import { findCommand } from '../tool.js';
import { LIBVIRT_PACKAGES, LIBVIRT_TOOLS } from './daemon.js';

/** Whether guests can be booted now: the QEMU lab has the images; libvirt comes from this machine's packages. Never throws. */
export function findLibvirtLab(): LabState<QemuImages> {
  const missing = LIBVIRT_TOOLS.find((tool) => findCommand(tool) === null);
  if (missing === undefined) return findQemuLab();
  return { kind: 'missing', why: `${missing} is not installed here (packages ${LIBVIRT_PACKAGES.join(', ')})` };
}

/** Copies into the folder of this run, for libvirtd runs as somebody who may not look into the cache. */
export function copyImages({ kernel, initrd, tools }: QemuImages, folder: string): QemuImages {
  chmodSync(folder, 0o755);
  const made = join(folder, 'image');
  mkdirSync(made);
  const copy = (file: string): string => {
    const to = join(made, basename(file));
    copyFileSync(file, to, constants.COPYFILE_FICLONE);
    chmodSync(to, 0o644);
    return to;
  };
  return { kernel: copy(kernel), initrd: copy(initrd), tools: copy(tools) };
}
