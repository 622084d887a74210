export * from './client.js';
export { XenstoreError, type WireCode, type XenstoreCode } from './errors.js';
export type { Access, Permission } from './permissions.js';
export type { CallOptions, Store } from './store.js';
export type { TransactionOptions } from './transaction.js';
export type { Transport, TransportListener } from './transport.js';
export { connectUnixSocket } from './unix-socket.js';
export type { WatchEvent, WatchListener } from './watch-queue.js';
export { openXenbusDevice, XENBUS_DEVICE } from './xenbus-device.js';
