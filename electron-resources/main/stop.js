'use strict';

// Stopping a child: ask, then SIGTERM, then SIGKILL. Whether a job runs decides how long asking may take.

const { request } = require('./request');

/** Exactly as long as nothing is lost: the backend gives a running job 30 s. @type {Readonly<Patience>} */
const PATIENCE = Object.freeze({ idleMs: 1_000, busyMs: 35_000, termMs: 1_000, askMs: 500 });

/**
 * @typedef {{idleMs: number, busyMs: number, termMs: number, askMs: number}} Patience in milliseconds: for an engine
 *   without and with a running job (whose own grace period is 30 s), after SIGTERM, and for one answer
 * @typedef {Readonly<{base: string, token: string | null}>} Line how to speak with the backend
 */

/**
 * Ends a child; settles when none of its processes is left.
 *
 * @param {import('./child').Child} child
 * @param {{line: Line | null, forced: boolean, patience: Readonly<Patience>, note: (text: string) => void}} options
 *   `forced`: without asking; `note` gets what is worth a line in the log
 * @returns {Promise<void>}
 */
async function stopChild(child, { line, forced, patience, note }) {
  if (!forced) {
    const limitMs = await askToEnd(child, line, patience, note);
    if (await endsWithin(child, limitMs)) return;
    note(`the engine did not end within ${limitMs} ms: SIGTERM`);
    child.terminate();
    if (await endsWithin(child, patience.termMs)) return;
    note(`the engine did not end within another ${patience.termMs} ms: SIGKILL`);
  }
  await child.kill();
  await child.ended;
}

/**
 * @param {import('./child').Child} child
 * @param {Line | null} line
 * @param {Readonly<Patience>} patience
 * @param {(text: string) => void} note
 * @returns {Promise<number>} how long it may take, in milliseconds
 */
async function askToEnd(child, line, patience, note) {
  if (line === null) {
    child.hangUp();
    return patience.idleMs;
  }
  const options = { token: line.token, timeoutMs: patience.askMs };
  /** @param {string} wish @param {unknown} error */
  const fail = (wish, error) => note(`the engine ${wish}: ${error instanceof Error ? error.message : error}`);
  const idle = await request(line.base, '/api/training/list', options)
    .then(isIdle)
    .catch((error) => fail('does not say whether it trains', error));
  // It may have ended meanwhile: hanging up and signals follow in any case.
  await request(line.base, '/api/shutdown', { ...options, method: 'POST' }).catch((error) =>
    fail('could not be asked to end', error),
  );
  child.hangUp();
  // Who does not answer in time may well be at work: one that hangs is ended by force, by those who watch its health.
  return idle === true ? patience.idleMs : patience.busyMs;
}

/** @param {import('./request').Answer} answer @returns {boolean} whether no job runs that needs time to save its work */
function isIdle({ status, body }) {
  if (status !== 200) throw new Error(`/api/training/list answers ${status}`);
  return JSON.parse(body).jobs.every((/** @type {{state: string}} */ job) => job.state !== 'running');
}

/** @param {import('./child').Child} child @param {number} limitMs @returns {Promise<boolean>} */
async function endsWithin(child, limitMs) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, limitMs, false);
  });
  const ended = await Promise.race([child.ended.then(() => true), late]);
  clearTimeout(timer);
  return ended;
}

module.exports = { PATIENCE, stopChild };
