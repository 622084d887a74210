/**
 * The other side of the xen-host benchmark, as a process of its own so that its work is not measured: a fake xenstored with domains
 * that write a report each when they are told to, and word of when all have been read.
 */
import { FakeXenstored } from '../test/xenstore/support/fake-xenstored.js';

const count = Number(process.argv[2]);
const fake = await FakeXenstored.start({ after: () => undefined });
Object.assign(fake.world, { watchesMax: Infinity, transactionsMax: Infinity });
const { store, domains } = fake.world;
const put = (path: string, text: string): void => {
  store.write(path, Buffer.from(text), 0);
  fake.fire(path);
};

for (let domid = 1; domid <= count; domid += 1) {
  const home = `/local/domain/${domid}`;
  put(`${home}/name`, `guest-${domid}`);
  put(`${home}/memory/static-max`, '1048576');
  put(`${home}/memory/target`, '524288');
  domains.add(domid);
}

let beat = 0;
let unread = 0;
fake.tamper = (answer, { operation, payload }) => {
  if (operation === 'READ' && payload.includes('/report') && (unread -= 1) === 0) process.send?.('read');
  // What is kept of the requests would grow without end.
  fake.requests.length = 0;
  return fake.honestly(answer);
};

const SIZES = {
  current: 524_288,
  total: 500_000,
  free: 200_000,
  available: 300_000,
  cached: 90_000,
  committed: 150_000,
};
const REST = { reserve: 9_000, maxPfn: 262_144, swapTotal: 524_288, swapUsed: 0, some: 0, full: 0 };

process.on('message', (message) => {
  if (message === 'end') {
    void fake.stop().then(() => {
      process.disconnect();
    });
    return;
  }
  beat += 1;
  unread = count;
  for (let domid = 1; domid <= count; domid += 1) {
    put(`/local/domain/${domid}/data/selfballoon/report`, JSON.stringify({ v: 1, beat, ...SIZES, ...REST }));
  }
});
process.send?.(fake.path);
