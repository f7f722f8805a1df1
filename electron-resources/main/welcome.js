'use strict';

// What there is to see once the engine is ready: the app's pages, where they can use this engine.

const { EngineError, explain, failureOfError } = require('./errors');
const { holderOf } = require('./holder');
const { readInterface } = require('./interface');
const { PORT } = require('./place');

const HERE = 'http://127.0.0.1:';
const KNOWN = `${HERE}${PORT}`;

/**
 * Shows the app's window, or the engine's with the reason why it cannot be the app's.
 *
 * @param {{
 *   manager: import('./backend-service-manager').BackendServiceManager,
 *   presenter: import('./presenter').Presenter,
 *   windows: import('./windows').Windows,
 *   folder: string,
 *   platform: NodeJS.Platform,
 *   warn: (error: Error) => void,
 * }} parts `folder` of the app's pages
 */
async function welcome({ manager, presenter, windows, folder, platform, warn }) {
  const { child } = manager.state;
  const pages = await readInterface(folder);
  // Until the app has pages of its own, the engine's page is what there is to see.
  if (pages === 'none') return;
  if (pages === 'any-port' || manager.base === KNOWN) {
    windows.showApp(manager.base);
    return;
  }
  const holder = await holderOf(PORT, platform).catch((error) => {
    warn(error); // the page is of use without the name, too
    return null;
  });
  if (manager.state.child !== child) return; // another start shows itself
  leaveApp({ presenter, windows }, problemWith(manager.base, holder));
}

/**
 * Shows the engine's window in the place of the app's, with the reason for that.
 *
 * @param {{presenter: import('./presenter').Presenter, windows: import('./windows').Windows}} parts
 * @param {EngineError} reason
 */
function leaveApp({ presenter, windows }, reason) {
  presenter.fail(explain(failureOfError(reason)));
  windows.leaveApp();
}

/** @param {string} reason why the app's pages did not load */
const unloaded = (reason) =>
  new EngineError('PAGES_NOT_LOADED', `Its pages did not load: ${reason}. The engine runs on.`);

/** @param {string} base of an engine that older pages do not find @param {import('./holder').Holder | null} holder */
function problemWith(base, holder) {
  const nowhere = `The engine is at ${base}, and the pages of this app look for it at ${KNOWN} alone.`;
  if (!base.startsWith(HERE)) return new EngineError('REMOTE_UNSEEN', nowhere);
  const who =
    holder === null ? 'a program that this system does not name' : `${holder.program} (process ${holder.pid})`;
  return new EngineError('PORT_IN_USE', `Port ${PORT} was taken by ${who}. ${nowhere}`);
}

module.exports = { leaveApp, unloaded, welcome };
