'use strict';

// The two windows: the engine's, while it starts or has failed, and the app's.

const path = require('node:path');
const { BrowserWindow } = require('electron');
const { APP, ENGINE } = require('./policy');

const PRELOADS = path.join(__dirname, '..', 'preload');

/** @param {string} preload @returns {import('electron').WebPreferences} */
const preferences = (preload) => ({
  preload: path.join(PRELOADS, preload),
  contextIsolation: true,
  nodeIntegration: false,
  sandbox: true,
  webSecurity: true,
});

/**
 * Opens the engine's window.
 *
 * @param {(contents: import('electron').WebContents) => void} guard called before the page is loaded
 */
function openEngineWindow(guard) {
  const window = new BrowserWindow({
    width: 640,
    height: 480,
    minWidth: 320,
    minHeight: 240,
    title: 'PEFT Studio',
    autoHideMenuBar: true,
    show: false, // a white flash is no first impression
    webPreferences: preferences('engine.js'),
  });
  guard(window.webContents);
  window.once('ready-to-show', () => window.show());
  window.loadURL(`${ENGINE}/`);
  return window;
}

/**
 * Opens the app's window.
 *
 * @param {(contents: import('electron').WebContents) => void} guard called before the page is loaded
 */
function openAppWindow(guard) {
  const window = new BrowserWindow({
    width: 1280,
    height: 860,
    minWidth: 640,
    minHeight: 480,
    title: 'PEFT Studio',
    show: false,
    webPreferences: preferences('app.js'),
  });
  guard(window.webContents);
  window.once('ready-to-show', () => window.show());
  window.loadURL(`${APP}/`);
  return window;
}

module.exports = { openAppWindow, openEngineWindow };
