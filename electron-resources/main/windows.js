'use strict';

// Which window is there to be seen: the engine's, the app's, or for a moment both, never none.

/**
 * @typedef {import('electron').BrowserWindow} EngineWindow
 * @typedef {ReturnType<typeof import('./window').openAppWindow>} AppWindow
 */

class Windows {
  #open;
  /** @type {EngineWindow | null} */
  #engine = null;
  /** @type {AppWindow | null} */
  #app = null;
  #appIsShown = false;
  /** The address that the app's pages were loaded for: their policy lets them connect to no other. */
  #base = '';

  /** @param {Readonly<{engine: () => EngineWindow, app: () => AppWindow}>} open */
  constructor(open) {
    this.#open = open;
  }

  /** Shows the engine's window, beside the app's if that is there. */
  showEngine() {
    this.#engine ??= this.#open.engine().once('closed', () => (this.#engine = null));
    this.#engine.show();
  }

  /**
   * Shows the app's window in the place of the engine's, which stays until then: pages that do not load show nothing.
   *
   * @param {string} base where the engine is
   */
  showApp(base) {
    if (this.#app === null) this.#openApp();
    else if (base !== this.#base) this.#app.pages.reload();
    this.#base = base;
    if (this.#appIsShown) this.#engine?.close();
  }

  #openApp() {
    this.#appIsShown = false;
    this.#app = this.#open.app();
    this.#app.window.once('closed', () => (this.#app = null));
    this.#app.window.once('show', () => {
      this.#appIsShown = true;
      this.#engine?.close();
    });
  }

  /** Shows the engine's window in the place of the app's. */
  leaveApp() {
    this.showEngine(); // first: without any window the app would end
    this.#app?.window.close();
  }

  /** Brings the app before everybody's eyes. */
  focus() {
    const window = this.#app?.window ?? this.#engine;
    if (window?.isMinimized()) window.restore();
    window?.focus();
  }

  /** @param {number} share of what goes on, for the system's own bar; negative for none */
  setProgress(share) {
    (this.#app?.window ?? this.#engine)?.setProgressBar(share);
  }

  /** @param {string} channel @param {unknown} payload to the app's pages, if there are any */
  tellApp(channel, payload) {
    this.#app?.pages.send(channel, payload);
  }

  /**
   * Gives a view to the engine's pages.
   *
   * @param {string} channel
   * @param {import('./progress').View} view
   */
  tellEngine(channel, view) {
    this.#engine?.webContents.send(channel, view);
    this.#app?.showBar(view.arrival !== null);
    this.#app?.bar.send(channel, view);
  }
}

module.exports = { Windows };
