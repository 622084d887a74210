export type { BalloonOptions, BalloonStats } from './books.js';
export { BalloonBugError } from './bug.js';
export { createBalloonDriver, type BalloonDriver } from './driver.js';
export { countFrames, endFrame, lastFrame, lowestFrame, reverseRun, risingRun, type FrameRun } from './frame-run.js';
export type { LendOutcome } from './lending.js';
export { LowestFirstAllocator } from './lowest-first-allocator.js';
export type {
  BalloonPorts,
  FrameAllocator,
  HotplugOutcome,
  IncreaseOutcome,
  MemoryHotplug,
  Reservation,
  TakeOptions,
} from './ports.js';
export { BATCH_PAGES } from './resize.js';
export { updateSchedule, type RetryState, type WorkerOutcome } from './retry.js';
export { CountingReservation, createWorld, NextFrameHotplug, type World, type WorldOptions } from './world.js';
