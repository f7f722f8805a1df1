'use strict';

// The engine's page and the main process: one view in, one press out. A sandboxed preload can require nothing of ours,
// so the channels stand here a second time; a test holds them to channels.js.

const { contextBridge, ipcRenderer } = require('electron');

contextBridge.exposeInMainWorld('engine', {
  /** Calls back with each view, the present one first; returns how to end that. */
  onView(/** @type {(view: unknown) => void} */ callback) {
    const listener = (/** @type {unknown} */ _event, /** @type {unknown} */ view) => callback(view);
    ipcRenderer.on('engine-view', listener);
    ipcRenderer.invoke('engine-view-now').then(callback);
    return () => ipcRenderer.removeListener('engine-view', listener);
  },
  press: (/** @type {string} */ button) => ipcRenderer.invoke('engine-press', button),
});
