/** `selfballoon conformance`: replays vector files and says how many lines agree. */
import { SelfballoonError } from '../../errors.js';
import { replayFile, type FileResult } from '../conformance/replay-file.js';

/** Replays every file; true when every line agreed. Prints as it goes. */
export async function runConformance(files: readonly string[], print: (text: string) => void): Promise<boolean> {
  let [passed, failed] = [0, 0];
  for (const file of files) {
    const result = await replayOrExplain(file, print);
    if (result === null) {
      failed += 1;
      continue;
    }
    passed += result.agreeing;
    failed += result.lines - result.agreeing;
    print(`${file}: ${result.agreeing} of ${result.lines} agree`);
    if (result.firstDifference !== null) printDifference(result.firstDifference, print);
  }
  print(`${passed} passed, ${failed} failed`);
  return failed === 0;
}

/** A file that cannot be replayed counts as one failure; the others are still tried. */
async function replayOrExplain(file: string, print: (text: string) => void): Promise<FileResult | null> {
  try {
    return await replayFile(file);
  } catch (error) {
    if (!(error instanceof SelfballoonError)) throw error;
    print(error.message);
    return null;
  }
}

function printDifference(difference: NonNullable<FileResult['firstDifference']>, print: (text: string) => void): void {
  const { number, text, comparison } = difference;
  if (comparison.agrees) return;
  print(`  first difference, line ${number}, in: ${comparison.where}`);
  print(`    line:     ${text}`);
  print(`    expected: ${JSON.stringify(comparison.expected)}`);
  print(`    got:      ${JSON.stringify(comparison.got)}`);
}
