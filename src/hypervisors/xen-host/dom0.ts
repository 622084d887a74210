/**
 * dom0 as one of the domains: what it needs it can read from its own kernel. It is only watched unless somebody asks for more, for
 * every guest's disks and networks go through it.
 */
import type { Alarm } from '../../control/alarm.js';
import type { Clock } from '../../control/ports.js';
import type { Reading } from '../../control/reading.js';
import { openAlarmSensor, type AlarmSensor } from '../../signals/alarm-sensor.js';
import type { TriggerSettings } from '../../signals/trigger-file.js';
import { stamp, type Signal } from '../../control/signal.js';
import { openGuestReader } from '../../signals/guest-reader.js';
import { kibToPagesDown, maxPages, type Millis, type Pages } from '../../units.js';
import { readingOf, type DomainRecord } from './domain-record.js';
import type { DomainSight } from './sight.js';

export interface Dom0Options {
  /** Its balloon is moved as those of guests are. */
  readonly isDriven: boolean;
  /** The least that it is ever set to. */
  readonly floor: Pages;
  /** The folder that has its `proc` in it. `/`. */
  readonly root: string;
  /** It is watched between two rounds too, where it is driven; null: it is not. */
  readonly alarms: Dom0Alarms | null;
}

export interface Dom0Alarms {
  readonly trigger: TriggerSettings;
  /** Told, in words for the log, when it cannot be watched as was asked for. */
  readonly warn: (message: string) => void;
}

export interface Dom0Reader {
  read(record: DomainRecord, sight: DomainSight, at: Millis): Reading;
  close(): void;
}

/** Begins to feel when memory gets tight in dom0, as the daemon in a guest does there; null where nothing is taken from it. */
export function watchDom0(
  { isDriven, root, alarms }: Dom0Options,
  clock: Clock,
  onAlarm: (alarm: Alarm) => void,
): AlarmSensor | null {
  return isDriven && alarms !== null ? openAlarmSensor({ root, clock, ...alarms, onAlarm }) : null;
}

export function createDom0Reader(options: Dom0Options, now: () => Millis): Dom0Reader {
  const reader = openGuestReader({ root: options.root, now });
  /**
   * The most that it was seen to hold, and Xen's limit where there is one (`dom0_mem=…,max:…`): a daemon that begins when dom0 was
   * shrunk already would know of no more than that otherwise.
   */
  let most: Pages | null = null;
  return {
    read(record, sight, at) {
      const fromOutside = readingOf(record, sight, at);
      const held = kibToPagesDown(sight.held);
      const could = sight.maximum === null ? held : maxPages(held, kibToPagesDown(sight.maximum));
      most = most === null ? could : maxPages(most, could);
      const maximum: Signal<Pages> = stamp({ known: true, value: most }, at);
      const { current, asked, used } = fromOutside;
      return { ...reader.read(), current, asked, used, maximum, at: now() };
    },
    close: () => {
      reader.close();
    },
  };
}
