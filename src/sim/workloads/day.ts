/** The hour of the simulated day. The world begins late in the evening, two hours before the nightly batch. */

const SECONDS_PER_HOUR = 3_600;
const HOURS = 24;
const START_HOUR = 21;
/** When people are busiest. */
const BUSIEST_HOUR = 15;

/** 0 up to, not including, 24. */
export const hourOfDay = (atSeconds: number): number => (START_HOUR + atSeconds / SECONDS_PER_HOUR) % HOURS;

/** How busy people are: 0 in the dead of night, 1 in the middle of the afternoon. */
export function daylight(atSeconds: number): number {
  const angle = ((hourOfDay(atSeconds) - BUSIEST_HOUR) / HOURS) * 2 * Math.PI;
  return (1 + Math.cos(angle)) / 2;
}
