'use strict';

// The app's end: it comes only once the engine has ended, which may take as long as a training needs to save its work.

/**
 * @typedef {Readonly<{
 *   isIdle: () => boolean,
 *   end: () => Promise<unknown>,
 *   quit: () => void,
 *   relaunch: (args: readonly string[]) => void,
 *   log: import('./log').Log,
 * }>} Parts `isIdle`: no process of ours runs, `end` settles when that is so
 */

class Quitting {
  #parts;
  #hasBegun = false;
  #isDue = false;
  /** Of a start that was asked for meanwhile. @type {readonly string[] | null} */
  #next = null;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  get hasBegun() {
    return this.#hasBegun;
  }

  /**
   * Holds up an end that comes too early, and brings it about in time.
   *
   * @param {{preventDefault: () => void}} event
   */
  hold(event) {
    // An updater that has stopped the engine already must not be held up.
    if (this.#isDue || this.#parts.isIdle()) return;
    event.preventDefault();
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#finish();
  }

  /** Starts the app again after its end. @param {readonly string[]} args */
  startAgain(args) {
    this.#next = args;
  }

  async #finish() {
    const { end, quit, relaunch, log } = this.#parts;
    await end().catch((error) => log.error(`at the end: ${error}`));
    this.#isDue = true;
    if (this.#next !== null) relaunch(this.#next);
    quit();
  }
}

module.exports = { Quitting };
