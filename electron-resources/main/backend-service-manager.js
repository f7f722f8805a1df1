'use strict';

// Runs the engine: does what each phase of state.js asks for, and turns what happens into its events.

const { EventEmitter } = require('node:events');
const { setTimeout: pause } = require('node:timers/promises');
const { EngineError, explain, failureOf, failureOfError } = require('./errors');
const { TIMING, askHealth, awaitHealth, watchHealth } = require('./health');
const { PORT, greetingOf, nameOf } = require('./place');
const { checkEngine } = require('./program');
const { Run } = require('./run');
const { INITIAL, MOST_RESTARTS, reduce } = require('./state');
const { PATIENCE, stopChild } = require('./stop');

/** Before the first, second and third restart, in milliseconds. The first comes at once: the launcher then looks for damage. */
const BACK_OFF = Object.freeze([0, 1_000, 4_000]);

/** A start that takes longer than this is worth a line in the log. */
const SLOW_START_MS = 5_000;

/**
 * @typedef {Readonly<{
 *   place: import('./place').Place,
 *   platform: NodeJS.Platform,
 *   environment: Readonly<NodeJS.ProcessEnv>,
 *   token: string,
 *   log: import('./log').Log,
 *   orphan?: import('./orphan').OrphanRecord,
 *   timing?: Readonly<import('./health').Timing>,
 *   patience?: Readonly<import('./stop').Patience>,
 *   backOff?: readonly number[],
 * }>} Options
 */

/**
 * Emits `state` (state, before) after each change, and `event` for each event of the engine.
 */
class BackendServiceManager extends EventEmitter {
  #options;
  #state = INITIAL;
  /** The present start, or the last one. */
  #run = new Run();
  /** What the present phase does ends with it. */
  #scope = new AbortController();

  /** @param {Options} options */
  constructor(options) {
    super();
    this.#options = { timing: TIMING, patience: PATIENCE, backOff: BACK_OFF, ...options };
  }

  get state() {
    return this.#state;
  }

  /** @returns {import('./place').Place} which engine is used */
  get place() {
    return this.#options.place;
  }

  /** @returns {string} where the backend is, or would be; the literal address, since `localhost` may mean ::1 */
  get base() {
    const { place } = this.#options;
    return place.mode === 'remote' ? place.url : `http://127.0.0.1:${this.#state.address?.port ?? PORT}`;
  }

  /** @returns {string} */
  get token() {
    const { place, token } = this.#options;
    return place.mode === 'remote' ? place.token : token;
  }

  /** Starts the engine; settles when it is ready, and rejects with EngineError when it has failed or was stopped. */
  start() {
    return this.#bring({ type: 'start' });
  }

  /** Stops the engine gently and starts it again; settles as `start` does. */
  restart() {
    return this.#bring({ type: 'restart', forced: false });
  }

  /** Kills the engine and starts it again; settles as `start` does. */
  forceRestart() {
    return this.#bring({ type: 'restart', forced: true });
  }

  /** Stops the engine; settles when none of its processes is left, and rejects where some cannot be ended. */
  async stop() {
    const { child } = this.#state;
    this.#dispatch({ type: 'stop' });
    await this.#until((state) => state.child !== child || child === null);
    if (this.#state.failure?.code === 'processes-left') throw this.#error();
  }

  /**
   * Uses another engine from the next start on.
   *
   * @param {import('./place').Place} place
   */
  use(place) {
    if (this.#state.child !== null) throw new Error('The engine has to be stopped before another one is used.');
    this.#options = { ...this.#options, place };
  }

  /** What the app's pages know as the backend's status. */
  status() {
    const { phase, address, restarts } = this.#state;
    return Object.freeze({
      running: phase === 'ready' || phase === 'unhealthy',
      port: address?.port ?? PORT,
      pid: this.#run.child?.pid ?? undefined,
      startTime: this.#run.startTime,
      restartAttempts: restarts,
    });
  }

  /** @returns {import('./run').ProcessInfo | null} of the present process, or the last one */
  processInfo() {
    return this.#run.describe(this.#state.phase);
  }

  /** @returns {import('./run').StartupMetrics} */
  metrics() {
    return this.#run.metrics;
  }

  /** @returns {Promise<import('./health').Health>} */
  checkHealth() {
    return askHealth(this.base, { timeoutMs: this.#options.timing.timeoutMs });
  }

  /** @returns {import('./errors').Explanation | null} what to tell people of the failure that holds now */
  explanation() {
    const { failure, restarts, phase } = this.#state;
    return failure && explain(failure, { exhausted: phase === 'failed' && restarts >= MOST_RESTARTS });
  }

  /** @param {import('./state').Event} wish */
  async #bring(wish) {
    this.#dispatch(wish);
    await this.#until(({ phase }) => phase === 'ready' || phase === 'failed' || phase === 'stopped');
    if (this.#state.phase !== 'ready') throw this.#error();
  }

  #error() {
    const told = this.explanation();
    return told === null
      ? new EngineError('PROCESS_START_FAILED', 'The engine was stopped before it was ready.')
      : new EngineError(told.code, told.message);
  }

  /** @param {(state: import('./state').State) => boolean} reached @returns {Promise<void>} */
  #until(reached) {
    return new Promise((resolve) => {
      const look = () => {
        if (!reached(this.#state)) return;
        this.off('state', look);
        resolve();
      };
      this.on('state', look);
      look();
    });
  }

  /** @param {import('./state').Event} event */
  #dispatch(event) {
    const before = this.#state;
    const after = reduce(before, event);
    if (after === before) return;
    this.#state = after;
    this.emit('state', after, before);
    // A listener may have brought about a further event, which then has been acted on.
    if (this.#state !== after) return;
    if (after.phase !== before.phase || after.child !== before.child || after.forced !== before.forced) this.#enter();
  }

  /** Ends what the last phase did, and does what the present one asks for. */
  #enter() {
    this.#scope.abort();
    this.#scope = new AbortController();
    const { signal } = this.#scope;
    this.#act(signal).catch((error) => {
      if (!signal.aborted) this.#options.log.error(`a bug in phase ${this.#state.phase}: ${error.stack}`);
    });
  }

  /** @param {AbortSignal} signal */
  async #act(signal) {
    switch (this.#state.phase) {
      case 'starting':
        return this.#make(/** @type {number} */ (this.#state.child));
      case 'listening':
        return this.#awaitReady(signal);
      case 'ready':
      case 'unhealthy':
        return this.#watch(signal);
      case 'ending':
        return this.#end();
      case 'waiting':
        await pause(this.#options.backOff[this.#state.restarts - 1], undefined, { signal });
        return this.#dispatch({ type: 'due' });
      case 'failed':
      case 'stopped':
        return undefined;
    }
  }

  /** @param {number} number of the child */
  async #make(number) {
    const { place, platform, log } = this.#options;
    const run = new Run();
    this.#run = run;
    if (place.mode === 'remote') {
      log.info(`engine, remote: ${place.url}`);
      this.#dispatch({ type: 'said', child: number, event: greetingOf(place) });
      return;
    }
    run.making = true;
    try {
      const program = await checkEngine(place, platform);
      if (this.#state.phase !== 'starting') throw new EngineError('backend-ended', 'Stopped before it was started.');
      log.info(`engine, ${place.mode}: ${program.command} ${program.args.join(' ')}`);
      this.#spawn(number, program);
    } catch (error) {
      this.#finish(number, failureOfError(error));
    } finally {
      run.making = false;
    }
  }

  /** @param {number} number @param {import('./run').Found} program */
  #spawn(number, program) {
    const run = this.#run;
    const { platform, environment, log, orphan } = this.#options;
    const child = run.spawn(
      program,
      { platform, environment, token: this.token },
      { onEvent: (event) => this.#hear(number, event), onLine: (line, stream) => log.line(stream, line) },
    );
    const complain = (/** @type {Error} */ error) =>
      log.error(`the running engine could not be recorded: ${error.message}`);
    run.follow(child, orphan, complain).then((end) => this.#finish(number, failureOf(end, this.#state.announced)));
  }

  /** @param {number} number @param {Readonly<import('./events').EngineEvent>} event */
  #hear(number, event) {
    if (event.event === 'listening') this.#run.noteListening();
    this.emit('event', event);
    this.#dispatch({ type: 'said', child: number, event });
  }

  /** @param {number} number @param {import('./state').Failure} failure */
  #finish(number, failure) {
    const { place, log } = this.#options;
    this.#dispatch({ type: 'ended', child: number, failure });
    if (this.#state.failure === null) return;
    log.failure({ mode: place.mode, backendPath: nameOf(place), failure: this.#state.failure });
  }

  /** @param {AbortSignal} signal */
  async #awaitReady(signal) {
    const child = /** @type {number} */ (this.#state.child);
    const { timing, log } = this.#options;
    const healthy = await awaitHealth(this.base, { timing, signal });
    if (healthy) this.#run.noteReady();
    const { readyMs } = this.#run.metrics;
    if (readyMs !== null && readyMs > SLOW_START_MS)
      log.warn(`the engine was ready only after ${Math.round(readyMs)} ms`);
    this.#dispatch(healthy ? { type: 'healthy', child, at: performance.now() } : { type: 'hung', child });
  }

  /** @param {AbortSignal} signal */
  async #watch(signal) {
    const child = /** @type {number} */ (this.#state.child);
    /** @param {import('./health').Health} health */
    const tell = ({ healthy, error }) => {
      if (!healthy) this.#options.log.warn(`the engine does not answer: ${error}`);
      this.#dispatch(healthy ? { type: 'healthy', child, at: performance.now() } : { type: 'missed', child });
    };
    await watchHealth(this.base, { timing: this.#options.timing, signal, tell });
  }

  async #end() {
    const { child: number, forced, address } = this.#state;
    const { child } = this.#run;
    if (child !== null) {
      const line = address && { base: this.base, token: this.token };
      const { patience, log } = this.#options;
      await stopChild(child, { line, forced, patience, note: (text) => log.warn(text) });
    } else if (!this.#run.making) {
      // A remote engine: it is not ours to end.
      this.#finish(/** @type {number} */ (number), failureOfError(new EngineError('backend-ended', 'Left alone.')));
    }
  }
}

module.exports = { BACK_OFF, BackendServiceManager };
