/** Protects the difference between asked and reached, and that a guest which does not obey is noticed. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answerPursuit, beginPursuit, isSpent, observePursuit, type Pursuit } from '../../src/control/pursuit.js';
import { millis, pages } from '../../src/units.js';

const ask = (target: number, current: number, now = 0, before: Pursuit | null = null): Pursuit =>
  beginPursuit(before, { id: 1, target: pages(target), current: pages(current), now: millis(now) });

/** `current`: what the guest holds. */
const answer = (asked: Pursuit | null, failure: string | null, now: number, current = 2_000): Pursuit | null =>
  answerPursuit(asked, { id: 1, failure, now: millis(now), current: pages(current) });

const accept = (asked: Pursuit, now = 0, current = 2_000): Pursuit =>
  answer(asked, null, now, current) ?? assert.fail();

const watch = (
  pursuit: Pursuit | null,
  ...looks: readonly (readonly [current: number, now: number])[]
): Pursuit | null =>
  looks.reduce<Pursuit | null>(
    (before, [current, now]) => observePursuit(before, pages(current), millis(now)),
    pursuit,
  );

describe('a request', () => {
  it('is only asked until it is answered, and only accepted until a reading shows it', () => {
    const asked = ask(1_000, 2_000);
    assert.equal(asked.phase, 'asked');
    const accepted = accept(asked);
    assert.equal(accepted.phase, 'accepted');
    assert.equal(watch(accepted, [1_500, 1_000])?.phase, 'accepted');
    assert.equal(watch(accepted, [1_500, 1_000], [1_003, 2_000])?.phase, 'reached');
  });

  it('ignores the answer to a request that is no longer open', () => {
    const asked = ask(1_000, 2_000);
    assert.equal(answer({ ...asked, id: 99 }, 'refused', 0)?.failure, null);
    assert.equal(answer(null, null, 0), null);
  });

  it('keeps what the hypervisor said when it refused', () => {
    assert.equal(answer(ask(1_000, 2_000), 'not allowed', 0)?.failure, 'not allowed');
  });
});

describe('a guest that does not move', () => {
  it('is stuck after 4 s without progress, and uncooperative after a minute', () => {
    const accepted = accept(ask(1_000, 2_000));
    assert.equal(watch(accepted, [2_000, 3_999])?.phase, 'accepted');
    assert.equal(watch(accepted, [2_000, 4_000])?.phase, 'stuck');
    assert.equal(watch(accepted, [2_000, 59_999])?.isUncooperative, false);
    assert.equal(watch(accepted, [2_000, 60_000])?.isUncooperative, true);
  });

  it('is stuck without an answer too where it was promised more: others wait for that', () => {
    assert.equal(watch(ask(3_000, 2_000), [2_000, 4_000])?.phase, 'stuck');
  });

  it('that is to give memory up is not stuck for as long as nobody has answered, and has its patience from the answer on', () => {
    const asked = ask(1_000, 2_000);
    const waiting = watch(asked, [2_000, 4_000], [2_000, 70_000]);
    assert.deepEqual([waiting?.phase, waiting?.isUncooperative], ['asked', false]);
    const accepted = accept(waiting ?? assert.fail(), 70_000);
    assert.equal(watch(accepted, [2_000, 73_999])?.phase, 'accepted');
    const stuck = watch(accepted, [2_000, 74_000]);
    assert.deepEqual([stuck?.phase, stuck?.isUncooperative], ['stuck', false]);
  });

  it('is stuck all the same when it is asked again for what was taken, whether that is answered yet or not', () => {
    const again = ask(1_000, 2_000, 3_950, accept(ask(1_000, 2_000), 100));
    assert.equal(watch(again, [2_000, 4_000])?.phase, 'stuck');
    assert.equal(watch(accept(again, 4_100), [2_000, 4_200])?.phase, 'stuck');
  });

  it('is not stuck where it is as far as what was taken says, and what it was asked for since has no answer', () => {
    const onItsWay = watch(accept(ask(1_500, 2_000)), [1_600, 1_000]);
    const lower = watch(ask(1_000, 1_600, 1_500, onItsWay), [1_503, 2_000], [1_503, 9_000]) ?? assert.fail();
    assert.equal(lower.phase, 'accepted');
    const answered = watch(accept(lower, 9_100, 1_503), [1_503, 13_099]);
    assert.equal(answered?.phase, 'accepted');
    assert.equal(watch(answered, [1_503, 13_100])?.phase, 'stuck');
  });

  it('is not stuck because of requests for growth that failed before anybody took one', () => {
    const failed = answer(ask(3_000, 2_000), 'too slow', 5_000);
    const again = ask(3_000, 2_000, 10_000, failed);
    assert.equal(watch(accept(again, 10_000), [2_000, 13_999])?.phase, 'accepted');
    assert.equal(watch(accept(again, 10_000), [2_000, 14_000])?.phase, 'stuck');
  });

  it('has no new patience with a late answer where it has not taken what it was promised before', () => {
    const more = ask(3_100, 2_000, 3_900, accept(ask(3_000, 2_000)));
    assert.equal(watch(accept(more, 4_100), [2_000, 4_200])?.phase, 'stuck');
  });

  it('has new patience with a late answer where it has taken all that it was promised before', () => {
    const more = ask(3_000, 2_000, 500, accept(ask(2_500, 2_000)));
    const waiting = watch(more, [2_500, 1_000]) ?? assert.fail();
    const answered = accept(waiting, 5_100, 2_500);
    assert.equal(watch(answered, [2_500, 9_099])?.phase, 'accepted');
    assert.equal(watch(answered, [2_500, 9_100])?.phase, 'stuck');
  });

  it('is stuck though each request for growth fails, as long as one of them may have got through', () => {
    const failed = answer(ask(3_000, 2_000), 'nobody knows', 1_000);
    assert.equal(watch(ask(3_000, 2_000, 2_000, failed), [2_000, 4_000])?.phase, 'stuck');
  });

  it('has its patience anew after a request that failed and promised it nothing', () => {
    const failed = answer(ask(1_000, 2_000), 'refused', 100);
    const grown = ask(3_000, 2_000, 10_000, failed);
    assert.equal(watch(grown, [2_000, 13_999])?.phase, 'asked');
    assert.equal(watch(grown, [2_000, 14_000])?.phase, 'stuck');
  });

  it('is uncooperative too where the first that was taken found it stuck already', () => {
    const stuck = watch(ask(3_000, 2_000), [2_000, 4_000]);
    const lower = accept(ask(1_000, 2_000, 5_000, stuck), 5_100);
    assert.equal(lower.phase, 'stuck');
    assert.equal(watch(lower, [2_000, 60_000])?.isUncooperative, true);
  });

  it('is stuck after it left a size at which it was seen before the answer came', () => {
    const arrived = accept(watch(ask(1_000, 2_000), [1_000, 1_000]) ?? assert.fail(), 1_100, 1_000);
    assert.equal(arrived.phase, 'reached');
    assert.equal(watch(arrived, [1_500, 600_000], [1_500, 604_000])?.phase, 'stuck');
  });

  it('does not have its patience anew with an answer that comes in time', () => {
    assert.equal(watch(accept(ask(1_000, 2_000), 3_000), [2_000, 4_000])?.phase, 'stuck');
  });

  it('does not become lively by being asked again', () => {
    const stuck = watch(accept(ask(1_000, 2_000)), [2_000, 5_000]);
    const again = ask(900, 2_000, 6_000, stuck);
    assert.equal(again.phase, 'stuck');
    assert.equal(watch(again, [2_000, 60_000])?.isUncooperative, true);
  });

  it('has patience of its own when it is to grow, having stood still on its way down', () => {
    const stuck = watch(accept(ask(1_000, 2_000)), [1_010, 1_000], [1_010, 20_000]);
    const grown = ask(5_000, 1_010, 20_000, stuck);
    assert.equal(isSpent(watch(grown, [1_010, 20_000]) ?? assert.fail(), millis(20_000)), false);
    const standing = watch(grown, [1_010, 23_999], [1_010, 24_000]) ?? assert.fail();
    assert.equal(isSpent(standing, millis(23_999)), false);
    assert.equal(isSpent(standing, millis(24_000)), true);
  });

  it('has it only once in half a minute, however often it is turned', () => {
    let pursuit = accept(ask(1_000, 2_000));
    for (let now = 1_000; now <= 30_000; now += 1_000) {
      pursuit = ask(now % 2_000 === 0 ? 1_000 : 5_000, 2_000, now, watch(pursuit, [2_000, now]));
    }
    assert.equal(pursuit.patienceFrom, 1_000);
    const down = ask(1_000, 2_000, 31_000, pursuit);
    assert.equal(ask(5_000, 2_000, 31_000, down).patienceFrom, 31_000);
  });

  it('is lively again with the first page that it gives', () => {
    const stuck = watch(accept(ask(1_000, 2_000)), [2_000, 70_000]);
    const moved = watch(stuck, [1_999, 71_000]);
    assert.deepEqual([moved?.phase, moved?.isUncooperative], ['accepted', false]);
  });

  it('has its patience anew when somebody else moves it after it had arrived', () => {
    const arrived = watch(accept(ask(1_000, 2_000)), [1_000, 1_000]);
    const moved = watch(arrived, [1_500, 600_000]);
    assert.deepEqual([moved?.phase, moved?.isUncooperative], ['accepted', false]);
    assert.equal(watch(moved, [1_500, 605_000])?.phase, 'stuck');
  });

  it('has its patience anew too when it was as good as there when it was asked, and nobody has looked since', () => {
    const there = accept(ask(1_000, 1_002), 100, 1_002);
    const moved = watch(there, [1_500, 900]);
    assert.equal(watch(moved, [1_500, 4_899])?.phase, 'accepted');
    assert.equal(watch(moved, [1_500, 4_900])?.phase, 'stuck');
  });

  it('counts moving away as not moving', () => {
    assert.equal(watch(accept(ask(1_000, 2_000)), [2_500, 5_000])?.phase, 'stuck');
  });
});
