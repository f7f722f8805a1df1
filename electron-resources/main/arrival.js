'use strict';

// How far the rest of the engine has come, while the app can be used already: GET /api/engine.

const { setTimeout: pause } = require('node:timers/promises');
const { request } = require('./request');

/** What is shown must not be half a second behind; the launcher notes it several times in that time. */
const EVERY_MS = 250;
const TIMEOUT_MS = 2_000;

/** @typedef {Readonly<{done: number | null, total: number | null}>} Arrival */

/**
 * Asks until all is there, or `signal` is aborted, whose reason it then rejects with.
 *
 * @param {{base: string, token: string}} backend
 * @param {{
 *   signal: AbortSignal,
 *   tell: (arrival: Arrival | null) => void,
 *   warn: (reason: string) => void,
 *   everyMs?: number,
 *   timeoutMs?: number,
 * }} options `tell` gets null at the end, `warn` the reason where answers begin to fail
 */
async function watchArrival(backend, { signal, tell, warn, everyMs = EVERY_MS, timeoutMs = TIMEOUT_MS }) {
  let before = '';
  for (;;) {
    const { arrival, failure } = await askArrival(backend, { signal, timeoutMs }).then(
      (answer) => ({ arrival: answer, failure: '' }),
      (error) => ({ arrival: undefined, failure: String(error.message) }),
    );
    signal.throwIfAborted();
    if (arrival !== undefined) tell(arrival);
    if (arrival === null) return;
    // A busy backend is late, and answers again: whoever stopped asking would never learn that all is there.
    if (failure !== '' && before === '') warn(`how much of the engine is there is unknown: ${failure}`);
    before = failure;
    await pause(everyMs, undefined, { signal });
  }
}

/**
 * @param {{base: string, token: string}} backend
 * @param {{signal: AbortSignal, timeoutMs: number}} options
 * @returns {Promise<Arrival | null>}
 */
async function askArrival({ base, token }, options) {
  const { status, body } = await request(base, '/api/engine', { token, ...options });
  if (status !== 200) throw new Error(`/api/engine answers ${status}`);
  const { part, done, total, unit } = JSON.parse(body);
  if (part === 'whole') return null;
  return Object.freeze({ done: unit === 'bytes' ? done : null, total: unit === 'bytes' ? total : null });
}

module.exports = { watchArrival };
