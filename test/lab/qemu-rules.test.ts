/** What the program promises, on real QEMU guests under emulation. Each suite boots its own. */
import { describe } from 'node:test';
import { growth } from './qemu/growth.js';
import { idle } from './qemu/idle.js';
import { pageCache } from './qemu/page-cache.js';
import { guestPair } from './qemu/pair.js';

describe('on real QEMU guests', { concurrency: 1 }, () => {
  describe('two on one host', { concurrency: 1 }, () => {
    const pair = guestPair();
    idle(pair);
  });
  growth();
  pageCache();
});
