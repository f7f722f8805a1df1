'use strict';

// Runs the engine: does what each phase of state.js asks for, and turns what happens into its events.

const { EventEmitter } = require('node:events');
const { setTimeout: pause } = require('node:timers/promises');
const { Child } = require('./child');
const { EngineError, explain, failureOf, failureOfError } = require('./errors');
const { TIMING, askHealth, awaitHealth, watchHealth } = require('./health');
const { PORT, SHOWN_ENVIRONMENT, checkEngine, engineEnvironment, greetingOf } = require('./paths');
const { INITIAL, MOST_RESTARTS, reduce } = require('./state');
const { PATIENCE, stopChild } = require('./stop');

/** Before the first, second and third restart, in milliseconds. The first comes at once: the launcher then looks for damage. */
const BACK_OFF = Object.freeze([0, 1_000, 4_000]);

/** A start that takes longer than this is worth a line in the log. */
const SLOW_START_MS = 5_000;

/**
 * @typedef {Readonly<{
 *   place: import('./paths').Place,
 *   platform: NodeJS.Platform,
 *   environment: Readonly<NodeJS.ProcessEnv>,
 *   token: string,
 *   log: import('./log').Log,
 *   orphan?: import('./orphan').OrphanRecord,
 *   timing?: Readonly<import('./health').Timing>,
 *   patience?: Readonly<import('./stop').Patience>,
 *   backOff?: readonly number[],
 * }>} Options
 *
 * @typedef {Readonly<{
 *   pid: number | null,
 *   command: string,
 *   args: readonly string[],
 *   cwd: string,
 *   env: Readonly<NodeJS.ProcessEnv>,
 *   startTime: string,
 *   status: 'starting' | 'running' | 'stopping' | 'stopped' | 'crashed',
 * }>} ProcessInfo
 *
 * @typedef {Readonly<{listeningMs: number | null, readyMs: number | null}>} StartupMetrics since the last start
 */

/** @type {Readonly<Record<import('./state').Phase, ProcessInfo['status']>>} */
const PROCESS_STATUS = Object.freeze({
  stopped: 'stopped',
  starting: 'starting',
  listening: 'starting',
  ready: 'running',
  unhealthy: 'running',
  ending: 'stopping',
  waiting: 'crashed',
  failed: 'crashed',
});

/**
 * Emits `state` (state, before) after each change, and `event` for each event of the engine.
 */
class BackendServiceManager extends EventEmitter {
  #options;
  #state = INITIAL;
  /** @type {Child | null} */
  #child = null;
  /** @type {ProcessInfo | null} */
  #process = null;
  /** @type {StartupMetrics} */
  #metrics = Object.freeze({ listeningMs: null, readyMs: null });
  #startedAt = 0;
  /** Between a child's number and its process. */
  #making = false;
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
    this.#dispatch({ type: 'start' });
    return this.#ready();
  }

  /** Stops the engine gently and starts it again. */
  restart() {
    this.#dispatch({ type: 'restart', forced: false });
    return this.#ready();
  }

  /** Kills the engine and starts it again. */
  forceRestart() {
    this.#dispatch({ type: 'restart', forced: true });
    return this.#ready();
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
   * @param {import('./paths').Place} place
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
      pid: this.#process?.pid ?? undefined,
      startTime: this.#process?.startTime ?? null,
      restartAttempts: restarts,
    });
  }

  /** @returns {ProcessInfo | null} of the present process, or the last one; without its token */
  processInfo() {
    return this.#process && Object.freeze({ ...this.#process, status: PROCESS_STATUS[this.#state.phase] });
  }

  metrics() {
    return this.#metrics;
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

  async #ready() {
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
        this.#measureReady();
        return this.#watch(signal);
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
    this.#startedAt = performance.now();
    this.#metrics = Object.freeze({ listeningMs: null, readyMs: null });
    if (place.mode === 'remote') {
      log.info(`engine, remote: ${place.url}`);
      this.#dispatch({ type: 'said', child: number, event: greetingOf(place) });
      return;
    }
    this.#making = true;
    try {
      const program = await checkEngine(place, platform);
      if (this.#state.phase !== 'starting')
        throw new EngineError('PROCESS_START_FAILED', 'Stopped before it was started.');
      log.info(`engine, ${place.mode}: ${program.command} ${program.args.join(' ')}`);
      this.#spawn(number, program);
    } catch (error) {
      this.#finish(number, failureOfError(error));
    } finally {
      this.#making = false;
    }
  }

  /** @param {number} number @param {Readonly<{command: string, args: readonly string[], cwd: string}>} program */
  #spawn(number, { command, args, cwd }) {
    const { platform, environment, log, orphan } = this.#options;
    const env = engineEnvironment(environment, this.token);
    const child = new Child(
      { command, args, cwd, env, platform },
      {
        onEvent: (event) => this.#hear(number, event),
        onLine: (line, stream) => log.line(stream, line),
      },
    );
    this.#child = child;
    const startTime = new Date().toISOString();
    this.#process = Object.freeze({
      pid: child.pid,
      command,
      args,
      cwd,
      env: SHOWN_ENVIRONMENT,
      startTime,
      status: 'starting',
    });
    const recorded = Promise.resolve(child.pid === null ? undefined : orphan?.write(child.pid));
    const settled = recorded.catch((error) => log.error(`the running engine could not be recorded: ${error.message}`));
    child.ended.then(async (end) => {
      this.#child = null;
      await settled;
      if (end.gone) await orphan?.remove();
      this.#finish(number, failureOf(end, this.#state.announced));
    });
  }

  /** @param {number} number @param {Readonly<import('./events').EngineEvent>} event */
  #hear(number, event) {
    if (event.event === 'listening') {
      const listeningMs = performance.now() - this.#startedAt;
      this.#metrics = Object.freeze({ ...this.#metrics, listeningMs });
    }
    this.emit('event', event);
    this.#dispatch({ type: 'said', child: number, event });
  }

  /** @param {number} number @param {import('./state').Failure} failure */
  #finish(number, failure) {
    const { place, log } = this.#options;
    this.#dispatch({ type: 'ended', child: number, failure });
    if (this.#state.failure === null) return;
    const backendPath =
      place.mode === 'production' ? place.command : place.mode === 'development' ? place.backend : place.url;
    log.failure({ mode: place.mode, backendPath, failure: this.#state.failure });
  }

  /** @param {AbortSignal} signal */
  async #awaitReady(signal) {
    const child = /** @type {number} */ (this.#state.child);
    const healthy = await awaitHealth(this.base, { timing: this.#options.timing, signal });
    this.#dispatch(healthy ? { type: 'healthy', child, at: performance.now() } : { type: 'hung', child });
  }

  #measureReady() {
    if (this.#metrics.readyMs !== null) return;
    const readyMs = performance.now() - this.#startedAt;
    this.#metrics = Object.freeze({ ...this.#metrics, readyMs });
    if (readyMs > SLOW_START_MS) this.#options.log.warn(`the engine was ready only after ${Math.round(readyMs)} ms`);
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
    if (this.#child !== null) {
      const line = address && { base: this.base, token: this.token };
      const { patience, log } = this.#options;
      await stopChild(this.#child, { line, forced, patience, note: (text) => log.warn(text) });
    } else if (!this.#making) {
      // A remote engine: it is not ours to end.
      this.#finish(/** @type {number} */ (number), failureOfError(new EngineError('backend-ended', 'Left alone.')));
    }
  }
}

module.exports = { BackendServiceManager };
