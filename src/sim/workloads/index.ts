/** The lives that simulated guests lead, by name. */
import type { WorkloadFactory } from '../workload.js';
import { buildBursts } from './build-bursts.js';
import { database } from './database.js';
import { fileReader } from './file-reader.js';
import { idle } from './idle.js';
import { jvm } from './jvm.js';
import { nightlyBatch } from './nightly-batch.js';
import { slowLeak } from './slow-leak.js';
import { swapping } from './swapping.js';
import { webServer } from './web-server.js';

/** The lives there are, by name: what each is like is in its own file. */
export const LIVES = {
  idle,
  web: webServer,
  builds: buildBursts,
  jvm,
  leak: slowLeak,
  batch: nightlyBatch,
  database,
  swapper: swapping,
  files: fileReader,
} as const satisfies Readonly<Record<string, WorkloadFactory>>;

/** The name of one of them. */
export type LifeName = keyof typeof LIVES;
