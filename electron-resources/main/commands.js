'use strict';

// What the buttons and the menu do: each act of the engine that is not simply starting it.

const path = require('node:path');
const { homepage } = require('../release');
const { EngineError, explain, failureOfError } = require('./errors');
const { ActFailed } = require('./acts');

/** What the engine's home is called in a folder that the user chose; short, since Windows' paths have an end. */
const HOME_NAME = 'peft-studio';

const AT_WORK = 'The engine is at work: wait until that is done.';

/**
 * @typedef {Readonly<{
 *   manager: import('./backend-service-manager').BackendServiceManager,
 *   presenter: import('./presenter').Presenter,
 *   place: () => import('./place').Place,
 *   versions: import('./versions').Versions,
 *   acts: import('./acts').Acts,
 *   log: import('./log').Log,
 *   openPath: (path: string) => Promise<string>,
 *   openBrowser: (url: string) => Promise<void>,
 *   chooseFolder: () => Promise<string | null>,
 *   chooseFile: (name: string) => Promise<string | null>,
 *   showInFolder: (file: string) => void,
 *   showApp: () => Promise<void>,
 *   quit: () => void,
 * }>} Parts
 */

class Commands {
  #parts;
  /** What is being done now: one thing at a time. @type {{button: string, done: Promise<void>} | null} */
  #current = null;
  /** @type {(() => void) | null} */
  #cancel = null;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /**
   * Does what a button says; the page shows how it goes.
   *
   * @param {unknown} button
   * @returns {Promise<void>}
   */
  async press(button) {
    const { manager, presenter, log, openPath, openBrowser, showApp, quit } = this.#parts;
    switch (button) {
      case 'retry':
        this.#requireRest();
        // An engine that runs is in the wrong place: only another start can find it a better one.
        return manager.state.child === null ? this.start() : leaveToThePage(manager.restart());
      case 'repair':
        return this.#once(button, () => this.#repair());
      case 'support-report':
        return this.#once(button, () => this.#report());
      case 'choose-home':
        return this.#once(button, () => this.#moveHome());
      case 'use-previous':
        return this.#once(button, () => this.#usePrevious());
      case 'open-log': {
        const reason = await openPath(presenter.view.problem?.log ?? log.file);
        if (reason !== '') throw new Error(reason);
        return undefined;
      }
      case 'show-app':
        presenter.dismiss();
        // An engine that does not run now shows the app once it does.
        return manager.status().running ? showApp() : undefined;
      case 'back':
        return presenter.dismiss();
      case 'get-app':
        return openBrowser(homepage);
      case 'cancel':
        return this.#cancelOr(quit);
      case 'quit':
        return quit();
      default:
        throw new Error(`There is no button ${String(button)}.`);
    }
  }

  /** Cancels what is being done; the app ends only where nothing is left to be seen without it. @param {() => void} quit */
  #cancelOr(quit) {
    const cancel = this.#cancel;
    cancel?.();
    if (cancel === null || this.#parts.manager.state.phase === 'stopped') quit();
  }

  /**
   * Restarts the engine for a page; settles as the service's own restart does.
   *
   * @param {{forced: boolean}} how
   */
  async restart({ forced }) {
    const { manager } = this.#parts;
    this.#requireRest();
    await (forced ? manager.forceRestart() : manager.restart());
  }

  /** Throws where an act goes on, which may need the engine's files to itself. */
  #requireRest() {
    if (this.#current !== null) throw new Error(AT_WORK);
  }

  /** Starts the engine, an updated one once its files are found right. */
  async start() {
    const { manager, presenter, versions, log } = this.#parts;
    try {
      await versions.check();
    } catch (error) {
      log.error(`the engine's files: ${error}`);
      // What could not be looked at may still run.
      if (error instanceof EngineError) {
        presenter.fail(explain(failureOfError(error)));
        return this.offerPrevious();
      }
    }
    return leaveToThePage(manager.start());
  }

  /** Offers the engine of the version before, where the present one has failed and was never healthy. */
  async offerPrevious() {
    const { manager, presenter, versions } = this.#parts;
    const { child } = manager.state;
    if ((await versions.previous()) !== null && manager.state.child === child) presenter.offer('use-previous');
  }

  /** Shows what is installed, and where. */
  async lookAround() {
    const { manager, presenter, acts } = this.#parts;
    if (manager.place.mode !== 'production') return;
    const { version, home, bytes } = /** @type {any} */ (await acts.run(manager.place, ['status']).answer);
    presenter.know(Object.freeze({ version, home, bytes }));
  }

  /**
   * Asked twice for the same at once, it is done once; what else there is has to wait.
   *
   * @param {string} button
   * @param {() => Promise<void>} act
   * @returns {Promise<void>}
   */
  #once(button, act) {
    if (this.#current?.button === button) return this.#current.done;
    if (this.#current !== null) return Promise.reject(new Error(AT_WORK));
    const done = act().finally(() => (this.#current = null));
    this.#current = { button, done };
    return done;
  }

  async #repair() {
    const { manager, place } = this.#parts;
    await manager.stop();
    if (!(await this.#act('repair'))) return;
    manager.use(place()); // which may have been the one before
    await this.start();
  }

  /** Any engine may go on running meanwhile. */
  async #report() {
    const { chooseFile, presenter, showInFolder } = this.#parts;
    const file = await chooseFile(`peft-studio-report-${new Date().toISOString().slice(0, 10)}.zip`);
    if (file === null || !(await this.#act('support-report', file))) return;
    presenter.end();
    showInFolder(file);
  }

  /** The launcher remembers the new place: every start finds it, support's too. */
  async #moveHome() {
    const { manager, chooseFolder } = this.#parts;
    const folder = await chooseFolder();
    if (folder === null) return;
    await manager.stop();
    if (await this.#act('move-home', path.join(folder, HOME_NAME))) await this.start();
  }

  async #usePrevious() {
    const { manager, versions } = this.#parts;
    const previous = await versions.previous();
    if (previous === null) throw new Error('The engine of the version before is not there any more.');
    await manager.stop();
    manager.use(previous);
    await leaveToThePage(manager.start());
  }

  /**
   * Runs an act of the launcher before everybody's eyes; rejects where it fails, which the page shows.
   *
   * @param {import('./acts').Act} name
   * @param {string} [value]
   * @returns {Promise<boolean>} false where it was cancelled
   */
  async #act(name, value) {
    const { manager, presenter, place, acts, log } = this.#parts;
    let cancelled = false;
    presenter.begin();
    const act = acts.run(place(), value === undefined ? [name] : [name, value], (event) => presenter.hear(event));
    this.#cancel = () => {
      cancelled = true;
      act.cancel().catch((error) => log.error(`${name}, cancelled: ${error}`));
    };
    try {
      await act.answer;
      return true;
    } catch (error) {
      if (cancelled) {
        presenter.end();
        return false;
      }
      const problem = explain(error instanceof ActFailed ? error.failure : failureOfError(error));
      // Beside an engine that runs there is nothing to start or to repair.
      presenter.fail(manager.state.child === null ? problem : { ...problem, buttons: ['back', 'open-log'] });
      throw error;
    } finally {
      this.#cancel = null;
    }
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
