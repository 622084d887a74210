/**
 * Feels between two rounds that memory gets tight in the guest this runs in, in two ways at once: the kernel's pressure trigger
 * says when somebody had to wait for memory, and `MemAvailable` shows it before, or where there is no trigger. What follows
 * from an alarm is control's to decide.
 */
import { join } from 'node:path';
import type { Alarm, AlarmCause } from '../control/alarm.js';
import type { Clock } from '../control/ports.js';
import type { Millis } from '../units.js';
import { watchAvailable } from './available-watch.js';
import type { MemoryGlance } from './memory-glance.js';
import { watchPressure, type TriggerCalls } from './pressure-trigger.js';
import type { TriggerSettings } from './trigger-file.js';

/** What is watched, and who is told. */
export interface AlarmSensorOptions {
  /** The folder that has `proc` in it: `/`, unless someone tests. */
  readonly root: string;
  readonly clock: Clock;
  readonly trigger: TriggerSettings;
  /** Called as soon as an alarm is seen. Must not throw. */
  readonly onAlarm: (alarm: Alarm) => void;
  /** Told, in words for the log, when the pressure trigger is not what was asked for. */
  readonly warn?: (message: string) => void;
  /** How the kernel is reached. Given by tests only. */
  readonly calls?: TriggerCalls;
}

/** A watch over one guest, from inside of it. */
export interface AlarmSensor {
  /** One sentence for people: which of the two ways work now, and why one does not. */
  describe(): string;
  /** Ends both at once; no descriptor, thread or timer is left. */
  close(): Promise<void>;
}

/** Begins to watch. Never throws: what cannot be watched is said in `describe`. */
export function openAlarmSensor(options: AlarmSensorOptions): AlarmSensor {
  const { root, clock, trigger, onAlarm, ...rest } = options;
  const raise = (cause: AlarmCause, at: Millis, seen: MemoryGlance | null): void => {
    onAlarm({ cause, at, availablePages: seen?.available ?? null, totalPages: seen?.total ?? null });
  };
  const available = watchAvailable({
    root,
    clock,
    onLow: (seen, at) => {
      raise('low', at, seen);
    },
  });
  const pressure = watchPressure({
    ...rest,
    path: join(root, 'proc', 'pressure', 'memory'),
    settings: trigger,
    clock,
    onStall: (at) => {
      const seen = available.glance();
      raise('stalled', at, seen.known ? seen.value : null);
    },
  });
  return {
    describe: () => `${pressure.describe()}; ${available.describe()}`,
    async close() {
      available.close();
      await pressure.close();
    },
  };
}
