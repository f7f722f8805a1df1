'use strict';

// A record of the running engine, so that the next start can end one that outlived its app. Only what is proven to be
// ours, and to have lost its owner, is ended; anything else is left alone.

const { mkdir, readFile, rename, rm, writeFile } = require('node:fs/promises');
const path = require('node:path');
const { awaitGone, isSystemError, killAll, startOf } = require('./processes');

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
   * Ends the engine on record if it is an orphan of ours.
   *
   * @returns {Promise<'none' | 'ended' | 'left-alone'>} `left-alone`: its owner lives
   */
  async endOrphan() {
    const record = await this.#read();
    if (record === null || !(await this.#lives(record.engine))) {
      await this.remove();
      return 'none';
    }
    if (await this.#lives(record.owner)) return 'left-alone';
    await killAll(record.engine.pid, this.#platform);
    const gone = await awaitGone(record.engine.pid, { platform: this.#platform, limitMs: GONE_MS });
    if (!gone) throw new Error(`Process ${record.engine.pid}, left by an earlier PEFT Studio, does not end.`);
    await this.remove();
    return 'ended';
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
