/** What the program promises, on real QEMU guests under emulation: a host of two guests, and beside it one guest after the other. */
import { describe } from 'node:test';
import { faults } from './qemu/faults.js';
import { growth } from './qemu/growth.js';
import { idle } from './qemu/idle.js';
import { cacheWithoutGuard, pageCache } from './qemu/page-cache.js';
import { monitorFaults } from './qemu/monitor-faults.js';
import { monitorPair } from './qemu/pair.js';
import { qemuSuite } from './qemu/suite.js';

describe('on real QEMU guests', { concurrency: 2 }, () => {
  describe('two on one host', { concurrency: 1 }, () => {
    const pair = monitorPair();
    idle(pair);
    faults(pair, () => {
      monitorFaults(pair);
    });
  });
  describe('one by itself', { concurrency: 1 }, () => {
    growth();
    pageCache(qemuSuite);
    cacheWithoutGuard();
  });
});
