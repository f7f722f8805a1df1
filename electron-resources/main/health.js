'use strict';

// Whether the backend answers. A busy worker is not a hung backend: health is answered by the server process alone.

const { setTimeout: pause } = require('node:timers/promises');
const { request } = require('./request');

const PATH = '/api/health';

/** @type {Readonly<Timing>} */
const TIMING = Object.freeze({ firstMs: 100, everyMs: 5_000, timeoutMs: 2_000, deadlineMs: 60_000 });

/**
 * @typedef {{firstMs: number, everyMs: number, timeoutMs: number, deadlineMs: number}} Timing in milliseconds: between
 *   questions until the first good answer, between those after it, for one answer, and until the first good one
 * @typedef {Readonly<{healthy: boolean, response?: unknown, error?: string}>} Health
 */

/**
 * Asks once. Never rejects but when `signal` is aborted: no answer is an answer.
 *
 * @param {string} base
 * @param {{timeoutMs: number, signal?: AbortSignal}} options
 * @returns {Promise<Health>}
 */
async function askHealth(base, options) {
  try {
    const { status, body } = await request(base, PATH, options);
    if (status !== 200) return Object.freeze({ healthy: false, error: `${PATH} answers ${status}` });
    return Object.freeze({ healthy: true, response: JSON.parse(body) });
  } catch (error) {
    options.signal?.throwIfAborted();
    return Object.freeze({ healthy: false, error: String(error instanceof Error ? error.message : error) });
  }
}

/**
 * Asks until the backend answers well for the first time.
 *
 * @param {string} base
 * @param {{timing: Readonly<Timing>, signal: AbortSignal}} options
 * @returns {Promise<boolean>} false where the deadline came first
 */
async function awaitHealth(base, { timing, signal }) {
  const deadline = performance.now() + timing.deadlineMs;
  for (;;) {
    const { healthy } = await askHealth(base, { timeoutMs: timing.timeoutMs, signal });
    if (healthy) return true;
    if (performance.now() >= deadline) return false;
    await pause(timing.firstMs, undefined, { signal });
  }
}

/**
 * Asks again and again, and tells each answer, until `signal` is aborted.
 *
 * @param {string} base
 * @param {{timing: Readonly<Timing>, signal: AbortSignal, tell: (health: Health) => void}} options
 * @returns {Promise<never>}
 */
async function watchHealth(base, { timing, signal, tell }) {
  for (;;) {
    await pause(timing.everyMs, undefined, { signal });
    tell(await askHealth(base, { timeoutMs: timing.timeoutMs, signal }));
  }
}

module.exports = { TIMING, askHealth, awaitHealth, watchHealth };
