'use strict';

// A record of the running engine, so that the next start can end one that outlived its app. Only what is proven to be
// ours, and to have lost its owner, is ended; anything else is left alone.

const { mkdir, readFile, rename, rm, writeFile } = require('node:fs/promises');
const path = require('node:path');
const { awaitGone, isSystemError, killAll, startOf } = require('./processes');
const { PATIENCE } = require('./stop');

/** What SIGKILL may take, in milliseconds. */
const GONE_MS = 5_000;

/**
 * @typedef {Readonly<{pid: number, start: string}>} Identity a PID, and what tells its process from the PID's next owner
 * @typedef {Readonly<{engine: Identity, owner: Identity}>} Record
 */

class OrphanRecord {
  #file;
  #platform;

  /** @param {string} file @param {NodeJS.Platform} platform */
  constructor(file, platform) {
    this.#file = file;
    this.#platform = platform;
  }

  /**
   * Remembers the engine; `owner` is this process.
   *
   * @param {number} pid
   */
  async write(pid) {
    const [engine, owner] = await Promise.all([this.#identify(pid), this.#identify(process.pid)]);
    if (engine === null || owner === null) return; // it has ended already
    await mkdir(path.dirname(this.#file), { recursive: true });
    const fresh = `${this.#file}.new`;
    await writeFile(fresh, `${JSON.stringify({ engine, owner })}\n`);
    await rename(fresh, this.#file);
  }

  async remove() {
    await rm(this.#file, { force: true });
  }

  /**
   * Sees an engine on record to its end if it is an orphan of ours. Its stdin ended with its owner: if it trains, it
   * saves its work now, for which it gets the time that it would get from a stop.
   *
   * @param {{graceMs?: number, onWait?: (pid: number) => void}} [options] `onWait` is told of one that is waited for
   * @returns {Promise<'none' | 'gone' | 'killed' | 'left-alone'>} `gone`: by itself, `left-alone`: its owner lives
   */
  async endOrphan({ graceMs = PATIENCE.busyMs, onWait } = {}) {
    const record = await this.#read();
    if (record === null || !(await this.#lives(record.engine))) {
      await this.remove();
      return 'none';
    }
    if (await this.#lives(record.owner)) return 'left-alone';
    onWait?.(record.engine.pid);
    const gone = await this.#awaitGone(record.engine, graceMs);
    if (!gone) await this.#kill(record.engine);
    await this.remove();
    return gone ? 'gone' : 'killed';
  }

  /** @param {Identity} engine */
  async #kill({ pid }) {
    await killAll(pid, this.#platform);
    const gone = await awaitGone(pid, { platform: this.#platform, limitMs: GONE_MS });
    if (!gone) throw new Error(`Process ${pid}, left by an earlier PEFT Studio, does not end.`);
  }

  /** @param {Identity} engine @param {number} limitMs */
  async #awaitGone(engine, limitMs) {
    if (await awaitGone(engine.pid, { platform: this.#platform, limitMs })) return true;
    // Meanwhile Windows may have given its PID to a stranger; a group keeps its number as long as it lives.
    return this.#platform === 'win32' && !(await this.#lives(engine));
  }

  /** @param {number} pid @returns {Promise<Identity | null>} */
  async #identify(pid) {
    const start = await startOf(pid, this.#platform);
    return start === null ? null : Object.freeze({ pid, start });
  }

  /** @param {Identity} identity */
  async #lives({ pid, start }) {
    return (await startOf(pid, this.#platform)) === start;
  }

  /** @returns {Promise<Record | null>} null where there is none, or none that can be understood */
  async #read() {
    let value;
    try {
      value = JSON.parse(await readFile(this.#file, 'utf8'));
    } catch (error) {
      if (error instanceof SyntaxError || isSystemError(error, 'ENOENT')) return null;
      throw error;
    }
    return isIdentity(value?.engine) && isIdentity(value?.owner) ? value : null;
  }
}

/** @param {any} value */
function isIdentity(value) {
  return Number.isSafeInteger(value?.pid) && value.pid > 1 && typeof value.start === 'string' && value.start !== '';
}

module.exports = { OrphanRecord };
