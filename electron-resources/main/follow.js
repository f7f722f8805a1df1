'use strict';

// What the engine's states bring about: what the app's pages are told, and what there is to do once it is ready or fails.

const { watchArrival } = require('./arrival');

/**
 * Does what each state of the engine brings about.
 *
 * @param {Readonly<{
 *   manager: import('./backend-service-manager').BackendServiceManager,
 *   presenter: import('./presenter').Presenter,
 *   windows: import('./windows').Windows,
 *   versions: import('./versions').Versions,
 *   commands: import('./commands').Commands,
 *   opened: import('./opened').OpenedFiles,
 *   onAddress: () => void,
 *   showApp: () => Promise<void>,
 *   send: (channel: string, payload: unknown) => void,
 *   warn: (error: Error) => void,
 *   log: import('./log').Log,
 * }>} parts `onAddress` is called where the engine has a new one
 * @returns {() => void} ends what goes on beside the engine
 */
function followEngine({
  manager,
  presenter,
  windows,
  versions,
  commands,
  opened,
  onAddress,
  showApp,
  send,
  warn,
  log,
}) {
  let scope = new AbortController();

  manager.on('state', ({ phase, address }, before) => {
    if (address !== null && address !== before.address) onAddress();
    if (phase === before.phase) return;
    send('backend-status', { status: phase, ...manager.status() });
    if (phase === 'ready' && before.phase === 'listening') greet();
    if (phase === 'failed') offerHelp().catch(warn);
  });

  async function offerHelp() {
    windows.showEngine();
    await commands.offerPrevious();
  }

  function greet() {
    versions.noteVersion(manager.state.address?.version ?? '').catch(warn);
    opened.deliver().catch(warn);
    showApp().catch(warn);
    scope.abort();
    scope = new AbortController();
    const { signal } = scope;
    watchArrival(manager, {
      signal,
      warn: log.warn,
      tell: (arrival) => {
        presenter.arrive(arrival);
        send('engine-arrival', arrival);
        const share = arrival?.total ? (arrival.done ?? 0) / arrival.total : -1;
        windows.setProgress(share);
        if (arrival === null) settle();
      },
    }).catch((error) => signal.aborted || warn(error));
  }

  /** What there is to do once all of the engine is there. */
  function settle() {
    commands.lookAround().catch(warn);
    versions.noteHealthy(manager.place).catch(warn);
  }

  return () => scope.abort();
}

module.exports = { followEngine };
