/** The signals' public face. */
export { openAlarmSensor, type AlarmSensor, type AlarmSensorOptions } from './alarm-sensor.js';
export { parseCommandLine, type CommandLine } from './cmdline.js';
export { openGuestReader, type GuestReader, type GuestReaderOptions } from './guest-reader.js';
export { parseMeminfo, type Meminfo } from './meminfo.js';
export { parsePressure, toPressure, type MemoryPressure } from './pressure.js';
export { openProcFile, type ProcFile } from './proc-file.js';
export { parseSwaps, type SwapArea } from './swaps.js';
export { type TriggerSettings } from './trigger-file.js';
export { parseVmstat, type Vmstat } from './vmstat.js';
export { parseZoneinfo } from './zoneinfo.js';
export { parseZramUsage, type ZramUsage } from './zram.js';
