'use strict';

// One start of the engine, as the app remembers it: the process, what is shown of it, and how long it took.

const { Child } = require('./child');
const { SHOWN_ENVIRONMENT, engineEnvironment } = require('./environment');

/**
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
 * @typedef {Readonly<{listeningMs: number | null, readyMs: number | null}>} StartupMetrics since the start was asked for
 * @typedef {Readonly<{command: string, args: readonly string[], cwd: string}>} Found what checkEngine found
 */

/** @type {Readonly<Record<import('./state').Phase, ProcessInfo['status']>>} */
const STATUS = Object.freeze({
  stopped: 'stopped',
  starting: 'starting',
  listening: 'starting',
  ready: 'running',
  unhealthy: 'running',
  ending: 'stopping',
  waiting: 'crashed',
  failed: 'crashed',
});

class Run {
  #began = performance.now();
  /** @type {number | null} */
  #listeningMs = null;
  /** @type {number | null} */
  #readyMs = null;
  /** @type {Omit<ProcessInfo, 'status'> | null} */
  #shown = null;

  /** The process, from its start to its end. @type {Child | null} */
  child = null;

  /** Whether the program is still being looked for. */
  making = false;

  /**
   * Starts the process.
   *
   * @param {Found} program
   * @param {{platform: NodeJS.Platform, environment: Readonly<NodeJS.ProcessEnv>, token: string}} surroundings
   * @param {import('./child').Listener} listener
   * @returns {Child}
   */
  spawn({ command, args, cwd }, { platform, environment, token }, listener) {
    const child = new Child({ command, args, cwd, env: engineEnvironment(environment, token), platform }, listener);
    const startTime = new Date().toISOString();
    this.#shown = Object.freeze({ pid: child.pid, command, args, cwd, env: SHOWN_ENVIRONMENT, startTime });
    this.child = child;
    return child;
  }

  /**
   * Settles when the process has ended. Until then it is on record, for the next start to find; one that cannot be
   * recorded runs all the same.
   *
   * @param {Child} child
   * @param {import('./orphan').OrphanRecord | undefined} orphan
   * @param {(error: Error) => void} complain
   * @returns {Promise<import('./child').End>}
   */
  async follow(child, orphan, complain) {
    const written = child.pid === null ? undefined : orphan?.write(child.pid).catch(complain);
    const end = await child.ended;
    this.child = null;
    await written;
    if (end.gone) await orphan?.remove().catch(complain);
    return end;
  }

  noteListening() {
    this.#listeningMs ??= performance.now() - this.#began;
  }

  noteReady() {
    this.#readyMs ??= performance.now() - this.#began;
  }

  /** @returns {string | null} */
  get startTime() {
    return this.#shown?.startTime ?? null;
  }

  /** @returns {StartupMetrics} */
  get metrics() {
    return Object.freeze({ listeningMs: this.#listeningMs, readyMs: this.#readyMs });
  }

  /** @param {import('./state').Phase} phase @returns {ProcessInfo | null} without its token; null before there was a process */
  describe(phase) {
    return this.#shown && Object.freeze({ ...this.#shown, status: STATUS[phase] });
  }
}

module.exports = { Run };
