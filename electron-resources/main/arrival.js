'use strict';

// How far the rest of the engine has come, while the app can be used already: GET /api/engine.

const { setTimeout: pause } = require('node:timers/promises');
const { request } = require('./request');

/** What is shown must not be half a second behind; the launcher notes it several times in that time. */
const EVERY_MS = 250;
const TIMEOUT_MS = 2_000;

/** @typedef {Readonly<{done: number | null, total: number | null}>} Arrival */

/**
 * Asks until all is there, or `signal` is aborted.
 *
 * @param {{base: string, token: string}} backend
 * @param {{signal: AbortSignal, tell: (arrival: Arrival | null) => void, everyMs?: number}} options `tell` gets null at the end
 */
async function watchArrival(backend, { signal, tell, everyMs = EVERY_MS }) {
  for (;;) {
    const { status, body } = await request(backend.base, '/api/engine', {
      token: backend.token,
      timeoutMs: TIMEOUT_MS,
      signal,
    });
    if (status !== 200) throw new Error(`/api/engine answers ${status}`);
    const { part, done, total, unit } = JSON.parse(body);
    tell(
      part === 'whole'
        ? null
        : Object.freeze({ done: unit === 'bytes' ? done : null, total: unit === 'bytes' ? total : null }),
    );
    if (part === 'whole') return;
    await pause(everyMs, undefined, { signal });
  }
}

module.exports = { watchArrival };
