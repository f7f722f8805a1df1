'use strict';

// What the buttons and the menu do: each act of the engine that is not simply starting it.

const { homepage } = require('../release');
const { EngineError, explain, failureOfError } = require('./errors');
const { runAct, ActFailed } = require('./act');

/**
 * @typedef {Readonly<{
 *   manager: import('./backend-service-manager').BackendServiceManager,
 *   presenter: import('./presenter').Presenter,
 *   place: () => import('./paths').Place,
 *   versions: import('./versions').Versions,
 *   platform: NodeJS.Platform,
 *   environment: Readonly<NodeJS.ProcessEnv>,
 *   log: import('./log').Log,
 *   openPath: (path: string) => Promise<string>,
 *   openBrowser: (url: string) => Promise<void>,
 *   chooseFolder: () => Promise<string | null>,
 *   remember: (home: string) => void,
 *   quit: () => void,
 * }>} Parts
 */

class Commands {
  #parts;
  /** @type {Promise<void> | null} */
  #repairing = null;
  /** @type {(() => void) | null} */
  #cancel = null;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /**
   * Does what a button says.
   *
   * @param {unknown} button
   * @returns {Promise<void>}
   */
  async press(button) {
    const { manager, log, openPath, openBrowser, quit } = this.#parts;
    switch (button) {
      case 'retry':
        // An engine that runs is in the wrong place: only another start can find it a better one.
        return manager.state.child === null ? this.start() : this.#restart();
      case 'repair':
        return this.repair();
      case 'use-previous':
        return this.#usePrevious();
      case 'choose-home':
        return this.#chooseHome();
      case 'open-log': {
        const reason = await openPath(log.file);
        if (reason !== '') throw new Error(reason);
        return undefined;
      }
      case 'get-app':
        return openBrowser(homepage);
      case 'cancel':
      case 'quit':
        this.#cancel?.();
        return quit();
      default:
        throw new Error(`There is no button ${String(button)}.`);
    }
  }

  /** Starts the engine; the page shows how it goes, a failure too. */
  async start() {
    const { manager, presenter, versions, log } = this.#parts;
    try {
      await versions.check();
    } catch (error) {
      log.error(`the engine's files: ${error}`);
      // What could not be looked at may still run.
      if (error instanceof EngineError) return presenter.fail(explain(failureOfError(error)));
    }
    return leaveToThePage(manager.start());
  }

  #restart() {
    return leaveToThePage(this.#parts.manager.restart());
  }

  /** Stops the engine, repairs it, and starts it again. Asked twice at once, it is done once. */
  repair() {
    this.#repairing ??= this.#repair().finally(() => {
      this.#repairing = null;
      this.#cancel = null;
    });
    return this.#repairing;
  }

  async #repair() {
    const { manager, presenter, place, platform, environment, log } = this.#parts;
    await manager.stop();
    presenter.begin();
    const act = runAct(place(), 'repair', { platform, environment, log, onEvent: (event) => presenter.hear(event) });
    this.#cancel = act.cancel;
    try {
      await act.answer;
    } catch (error) {
      const failure = error instanceof ActFailed ? error.failure : failureOfError(error);
      presenter.fail(explain(failure));
      throw error;
    }
    presenter.end();
    manager.use(place()); // which may have been the one before
    await this.start();
  }

  async #usePrevious() {
    const { manager, versions } = this.#parts;
    const previous = await versions.previous();
    if (previous === null) throw new Error('The engine of the version before is not there any more.');
    await manager.stop();
    manager.use(previous);
    await leaveToThePage(manager.start());
  }

  async #chooseHome() {
    const { manager, chooseFolder, remember, place } = this.#parts;
    const folder = await chooseFolder();
    if (folder === null) return;
    await manager.stop();
    remember(folder);
    manager.use(place());
    await this.start();
  }
}

/** @param {Promise<void>} start whose failure the service logs and the page shows */
async function leaveToThePage(start) {
  try {
    await start;
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
  }
}

module.exports = { Commands };
