import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BEGUN, advance, approach, viewOf } from '../../electron-resources/main/progress.js';

const step = (done, { name = 'unpack', total = 1000, unit = 'bytes' } = {}) => ({
  event: 'step',
  name,
  done,
  total,
  unit,
});

test('rate and time left come from the last seconds, not the first', () => {
  let progress = advance(BEGUN, step(0), 0);
  for (let second = 1; second <= 20; second += 1) progress = advance(progress, step(second * 10), second * 1000);
  expect(progress).toMatchObject({ rate: 10, secondsLeft: 80 });
  for (let second = 21; second <= 30; second += 1)
    progress = advance(progress, step(200 + (second - 20) * 40), second * 1000);
  expect(progress).toMatchObject({ rate: 40, secondsLeft: 10 });
});

test('the rest of the engine has a rate and a time left, too, as soon as its bytes are known', () => {
  let arrival = approach(null, { done: null, total: null }, 0);
  expect(arrival).toMatchObject({ done: null, rate: null });
  for (let second = 1; second <= 3; second += 1)
    arrival = approach(arrival, { done: second * 10, total: 100 }, second * 1000);
  const { arrival: shown } = viewOf({ phase: 'ready', progress: BEGUN, problem: null, arrival, installed: null });
  expect(shown).toMatchObject({ done: 30, total: 100, rate: 10, secondsLeft: 7 });
  expect(shown).not.toHaveProperty('samples');
});

test('in the first second nobody knows', () => {
  expect(advance(advance(BEGUN, step(0), 0), step(500), 900)).toMatchObject({
    rate: null,
    secondsLeft: null,
    done: 500,
  });
});

test('another step begins anew', () => {
  const unpacked = advance(advance(BEGUN, step(0), 0), step(1000), 5000);
  expect(advance(unpacked, step(0, { name: 'relocate' }), 5100)).toMatchObject({ step: 'relocate', rate: null });
});

test('whatever comes, what is shown is what was said last, and no figure is negative or endless', () => {
  const steps = fc.array(fc.tuple(fc.nat(1_000), fc.nat(10_000)), { minLength: 1 });
  fc.assert(
    fc.property(steps, (told) => {
      let at = 0;
      let progress = BEGUN;
      for (const [done, pause] of told) progress = advance(progress, step(done), (at += pause));
      const { progress: shown } = viewOf({
        phase: 'starting',
        progress,
        problem: null,
        arrival: null,
        installed: null,
      });
      expect(shown.done).toBe(told.at(-1)[0]);
      for (const figure of [shown.rate, shown.secondsLeft])
        expect(figure === null || (figure >= 0 && Number.isFinite(figure))).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test('who is waited for, and the start itself, are shown', () => {
  expect(advance(BEGUN, { event: 'waiting', pid: 12 }, 0)).toMatchObject({ step: 'waiting', pid: 12 });
  expect(advance(BEGUN, { event: 'starting', argv: [] }, 0)).toMatchObject({ step: 'start', done: null });
});
