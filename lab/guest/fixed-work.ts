/**
 * A fixed amount of work like the daemon's (text to numbers, small objects, JSON), run on the bare machine and in a guest to learn how
 * much slower the guest's processor is. Prints the CPU time that it took, in milliseconds; the first rounds do not count.
 */
const ROUNDS = 3_000;
const WARM_UP_ROUNDS = 300;
const TEXT = Array.from({ length: 60 }, (_, n) => `Name${n}:      ${n * 7_919} kB`).join('\n');

function round(n: number): number {
  const fields = TEXT.split('\n').map((line) => {
    const [, name = '', value = ''] = /^(\w+): +(\d+)/.exec(line) ?? [];
    return { name, value: Number(value) + n, at: n };
  });
  return JSON.stringify(fields).length;
}

function rounds(count: number): number {
  let sum = 0;
  for (let n = 0; n < count; n += 1) sum += round(n);
  return sum;
}

rounds(WARM_UP_ROUNDS);
const before = process.cpuUsage();
rounds(ROUNDS);
const { user, system } = process.cpuUsage(before);
console.log(((user + system) / 1_000).toFixed(1));
