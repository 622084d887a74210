/**
 * A stand-in for the kernel's xenbus device: one end of a socket pair, read and written as the device is, with the fake xenstored
 * at the other. What the kernel does otherwise than xenstored is done here too: it answers watches without an id, and leaves the
 * ids of events as the memory happens to be.
 */
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type Koffi from 'koffi';
import { VirtualClock } from '../../../src/sim/index.js';
import { encodeFrame } from '../../../src/xenstore/codec.js';
import type { Transport } from '../../../src/xenstore/transport.js';
import { xenbusOver } from '../../../src/xenstore/xenbus-device.js';
import { FakeXenstored } from './fake-xenstored.js';

const AF_UNIX = 1;
/** SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC. */
const TYPE = 1 + 0o4000 + 0o2000000;

function socketPair(): readonly [number, number] {
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const call = koffi.load(null).func('int socketpair(int domain, int type, int protocol, _Out_ int *ends)');
  const ends = [0, 0];
  if (Number(call(AF_UNIX, TYPE, 0, ends)) !== 0) throw new Error('socketpair failed');
  const [ours = -1, theirs = -1] = ends;
  return [ours, theirs];
}

/** Answers as the kernel gives them to its reader. */
export const kernelsAnswers: FakeXenstored['tamper'] = (answer) => {
  const { operation } = answer;
  const isWatch = operation === 'WATCH' || operation === 'UNWATCH';
  return [encodeFrame(isWatch ? { ...answer, requestId: 0 } : answer)];
};

export interface Device {
  readonly fake: FakeXenstored;
  readonly transport: Transport;
  readonly clock: VirtualClock;
}

export async function openDevice(context: TestContext): Promise<Device> {
  const fake = await FakeXenstored.start(context);
  fake.tamper = kernelsAnswers;
  const clock = new VirtualClock();
  const [ours, theirs] = socketPair();
  fake.serve(new Socket({ fd: theirs, readable: true, writable: true }));
  const transport = await xenbusOver({ description: 'a socket pair', descriptor: ours, clock });
  context.after(() => transport.close());
  return { fake, transport, clock };
}
