'use strict';

// One of the launcher's acts that answer and end.

const { Child } = require('./child');
const { EngineError, explain, failureOf } = require('./errors');
const { checkEngine } = require('./program');

/** @typedef {'install' | 'repair' | 'status' | 'remove' | 'support-report' | 'move-home'} Act */

/** An act that ended without its answer; `failure` says why. */
class ActFailed extends EngineError {
  /** @param {import('./state').Failure} failure */
  constructor(failure) {
    const { code, message } = explain(failure);
    super(code, message);
    this.failure = failure;
  }
}

/**
 * Runs an act. The engine must not run meanwhile where the act changes its files.
 *
 * @param {import('./place').Place} place
 * @param {readonly [Act, ...string[]]} asked the act, and what it is given
 * @param {{
 *   platform: NodeJS.Platform,
 *   environment: Readonly<NodeJS.ProcessEnv>,
 *   log: import('./log').Log,
 *   onEvent: (event: Readonly<import('./events').EngineEvent>) => void,
 * }} options
 * @returns {{answer: Promise<Readonly<import('./events').Result>>, cancel: () => void}} `answer` rejects with ActFailed;
 *   what a cancelled act has finished is kept
 */
function runAct(place, [act, ...values], { platform, environment, log, onEvent }) {
  /** @type {Child | null} */
  let child = null;
  let cancelled = false;
  const run = async () => {
    if (place.mode !== 'production') {
      throw new EngineError(
        'PROCESS_START_FAILED',
        `${act} needs the engine that comes with the app, and there is none here.`,
      );
    }
    const { command, cwd } = await checkEngine(place, platform);
    if (cancelled) throw new EngineError('PROCESS_START_FAILED', 'Cancelled.');
    const args = [`--${act}`, ...values, '--json', '--until-eof'];
    log.info(`engine, ${act}: ${command} ${args.join(' ')}`);
    /** @type {Readonly<import('./events').Result> | null} */
    let result = null;
    /** @type {Readonly<import('./events').Failed> | null} */
    let failed = null;
    /** @param {Readonly<import('./events').EngineEvent>} event */
    const hear = (event) => {
      if (event.event === 'result') result = event;
      if (event.event === 'failed') failed = event;
      onEvent(event);
    };
    child = new Child(
      { command, args, cwd, env: environment, platform },
      { onEvent: hear, onLine: (line, stream) => log.line(stream, line) },
    );
    const end = await child.ended;
    if (end.exitCode === 0 && result !== null) return result;
    const failure = failureOf(end, failed);
    log.failure({ mode: place.mode, backendPath: command, failure });
    throw new ActFailed(failure);
  };
  return {
    answer: run(),
    cancel: () => {
      cancelled = true;
      child?.hangUp();
      child?.terminate();
    },
  };
}

module.exports = { ActFailed, runAct };
