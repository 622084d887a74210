/** What the program promises, on a real libvirt: two domains of one host, and beside them one that lives from its page cache. */
import { describe } from 'node:test';
import { faults } from './qemu/faults.js';
import { idle } from './qemu/idle.js';
import { pageCache } from './qemu/page-cache.js';
import { domainPair } from './qemu/pair.js';
import { libvirtSuite } from './qemu/suite.js';

describe('on domains of a real libvirt', { concurrency: 2 }, () => {
  describe('two on one host', { concurrency: 1 }, () => {
    const pair = domainPair();
    idle(pair);
    faults(pair);
  });
  pageCache(libvirtSuite);
});
