/** What the program promises, on real QEMU guests under emulation: a host of two guests, and beside it one guest after the other. */
import { describe } from 'node:test';
import { faults } from './qemu/faults.js';
import { growth } from './qemu/growth.js';
import { idle } from './qemu/idle.js';
import { pageCache } from './qemu/page-cache.js';
import { guestPair } from './qemu/pair.js';

describe('on real QEMU guests', { concurrency: 2 }, () => {
  describe('two on one host', { concurrency: 1 }, () => {
    const pair = guestPair();
    idle(pair);
    faults(pair);
  });
  describe('one by itself', { concurrency: 1 }, () => {
    growth();
    pageCache();
  });
});
