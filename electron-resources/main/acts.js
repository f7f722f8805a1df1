'use strict';

// The launcher's acts, which answer and end.

const { Child } = require('./child');
const { EngineError, explain, failureOf } = require('./errors');
const { checkEngine } = require('./program');
const { PATIENCE, stopChild } = require('./stop');

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

const silent = () => undefined;

/** Runs acts, and knows which of them go on. */
class Acts {
  #surroundings;
  /** How to cancel each one that goes on. @type {Set<() => Promise<void>>} */
  #running = new Set();

  /**
   * @param {{
   *   platform: NodeJS.Platform,
   *   environment: Readonly<NodeJS.ProcessEnv>,
   *   log: import('./log').Log,
   *   patience?: Readonly<import('./stop').Patience>,
   * }} surroundings
   */
  constructor(surroundings) {
    this.#surroundings = { patience: PATIENCE, ...surroundings };
  }

  /** @returns {boolean} whether any goes on */
  get areRunning() {
    return this.#running.size > 0;
  }

  /**
   * Runs an act. The engine must not run meanwhile where the act changes its files.
   *
   * @param {import('./place').Place} place
   * @param {readonly [Act, ...string[]]} asked the act, and what it is given
   * @param {(event: Readonly<import('./events').EngineEvent>) => void} [onEvent]
   * @returns {{answer: Promise<Readonly<import('./events').Result>>, cancel: () => Promise<void>}} `answer` rejects with
   *   ActFailed; what a cancelled act has finished is kept, and `cancel` settles when none of its processes is left
   */
  run(place, asked, onEvent = silent) {
    const { patience, log } = this.#surroundings;
    /** @type {Child | null} */
    let child = null;
    let cancelled = false;
    const begin = async () => {
      const program = await this.#find(place, asked);
      if (cancelled) throw new EngineError('PROCESS_START_FAILED', 'Cancelled.');
      return this.#follow(program, place, { onEvent, onChild: (made) => (child = made) });
    };
    const answer = begin();
    const cancel = async () => {
      cancelled = true;
      const options = { line: null, forced: false, patience, note: log.warn };
      if (child === null) await answer.catch(silent);
      else await stopChild(child, options);
    };
    this.#running.add(cancel);
    answer.catch(silent).then(() => this.#running.delete(cancel));
    return Object.freeze({ answer, cancel });
  }

  /** Cancels all; settles when none of their processes is left. */
  async end() {
    await Promise.all([...this.#running].map((cancel) => cancel()));
  }

  /** @param {import('./place').Place} place @param {readonly [Act, ...string[]]} asked */
  async #find(place, [act, ...values]) {
    if (place.mode !== 'production') {
      throw new EngineError(
        'PROCESS_START_FAILED',
        `${act} needs the engine that comes with the app, and there is none here.`,
      );
    }
    const { command, cwd } = await checkEngine(place, this.#surroundings.platform);
    return { command, cwd, args: [`--${act}`, ...values, '--json', '--until-eof'] };
  }

  /**
   * @param {{command: string, cwd: string, args: string[]}} program
   * @param {import('./place').Place} place
   * @param {{onEvent: (event: Readonly<import('./events').EngineEvent>) => void, onChild: (child: Child) => void}} listener
   * @returns {Promise<Readonly<import('./events').Result>>}
   */
  async #follow(program, place, { onEvent, onChild }) {
    const { platform, environment, log } = this.#surroundings;
    log.info(`engine, act: ${program.command} ${program.args.join(' ')}`);
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
    const child = new Child(
      { ...program, env: environment, platform },
      { onEvent: hear, onLine: (line, stream) => log.line(stream, line) },
    );
    onChild(child);
    const end = await child.ended;
    if (end.exitCode === 0 && result !== null) return result;
    const failure = failureOf(end, failed);
    log.failure({ mode: place.mode, backendPath: program.command, failure });
    throw new ActFailed(failure);
  }
}

module.exports = { ActFailed, Acts };
