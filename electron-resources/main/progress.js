'use strict';

// What the engine's page shows: events and states → view. Pure; the time is given.

/** Over this time, in milliseconds, the rate is taken: shorter jumps about, longer lags behind. */
const WINDOW_MS = 5_000;

/** Before so much time of a step has passed, in milliseconds, nobody can say how long it takes. */
const UNSURE_MS = 1_000;

/**
 * @typedef {Readonly<{at: number, done: number}>} Sample
 *
 * @typedef {Readonly<{
 *   step: string,
 *   done: number | null,
 *   total: number | null,
 *   unit: string | null,
 *   rate: number | null,
 *   secondsLeft: number | null,
 *   pid: number | null,
 *   samples: readonly Sample[],
 * }>} Progress `step` is one of the launcher's, or `begin`, `waiting`, `retrying`, `start`, `end`; `rate` per second;
 *   `pid` whom it waits for
 *
 * @typedef {Readonly<{
 *   mood: 'working' | 'failed' | 'ready',
 *   progress: Omit<Progress, 'samples'> | null,
 *   problem: import('./errors').Explanation | null,
 *   arrival: Omit<Progress, 'samples'> | null,
 *   installed: Installed | null,
 * }>} View
 * @typedef {Readonly<{version: string, home: string, bytes: number}>} Installed
 */

/** @type {Progress} */
const BEGUN = Object.freeze({
  step: 'begin',
  done: null,
  total: null,
  unit: null,
  rate: null,
  secondsLeft: null,
  pid: null,
  samples: Object.freeze([]),
});

/** @type {Progress} */
const ENDING = Object.freeze({ ...BEGUN, step: 'end' });

/**
 * Returns the progress after an event.
 *
 * @param {Progress} progress
 * @param {Readonly<import('./events').EngineEvent>} event
 * @param {number} at in milliseconds
 * @returns {Progress}
 */
function advance(progress, event, at) {
  switch (event.event) {
    case 'step':
      return measure(progress, event, at);
    case 'waiting':
      return Object.freeze({ ...BEGUN, step: 'waiting', pid: event.pid });
    case 'retrying':
      return Object.freeze({ ...BEGUN, step: 'retrying' });
    case 'starting':
    case 'listening':
      return Object.freeze({ ...BEGUN, step: 'start' });
    default:
      return progress;
  }
}

/**
 * @param {Progress} progress
 * @param {Readonly<import('./events').Step>} step
 * @param {number} at
 * @returns {Progress}
 */
function measure(progress, { name, done, total, unit }, at) {
  // A step that begins again, or counts something else, has a rate of its own.
  const same = progress.step === name && progress.unit === unit && done >= (progress.done ?? 0);
  const kept = same ? progress.samples : [];
  const recent = kept.filter((sample, index) => at - sample.at <= WINDOW_MS || index === kept.length - 1);
  const samples = Object.freeze([...recent, Object.freeze({ at, done })]);
  const passed = at - samples[0].at;
  const rate = passed >= UNSURE_MS ? ((done - samples[0].done) * 1000) / passed : null;
  const secondsLeft = rate === null || rate <= 0 ? null : Math.max(0, total - done) / rate;
  return Object.freeze({ step: name, done, total, unit, rate, secondsLeft, pid: null, samples });
}

/** @param {Progress} progress @returns {Omit<Progress, 'samples'>} what of it pages show */
function shownOf({ samples: _samples, ...shown }) {
  return Object.freeze(shown);
}

/**
 * Returns how far the rest of the engine has come, after another look at it.
 *
 * @param {Progress | null} before
 * @param {import('./arrival').Arrival} arrival
 * @param {number} at in milliseconds
 * @returns {Progress}
 */
function approach(before, { done, total }, at) {
  if (done === null || total === null) return BEGUN;
  return measure(before ?? BEGUN, { event: 'step', name: 'arrive', done, total, unit: 'bytes' }, at);
}

/**
 * Returns what the page shows.
 *
 * @param {{
 *   phase: import('./state').Phase,
 *   progress: Progress,
 *   problem: import('./errors').Explanation | null,
 *   arrival: Progress | null,
 *   installed: Installed | null,
 * }} now
 * @returns {View}
 */
function viewOf({ phase, progress, problem, arrival, installed }) {
  const mood = phase === 'failed' ? 'failed' : phase === 'ready' ? 'ready' : 'working';
  return Object.freeze({
    mood,
    progress: mood === 'working' ? shownOf(phase === 'ending' ? ENDING : progress) : null,
    problem: mood === 'failed' ? problem : null,
    arrival: mood === 'ready' && arrival !== null ? shownOf(arrival) : null,
    installed: mood === 'ready' ? installed : null,
  });
}

module.exports = { BEGUN, advance, approach, viewOf };
