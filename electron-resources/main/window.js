'use strict';

// The two windows: the engine's, while it starts or has failed, and the app's.

const path = require('node:path');
const { BaseWindow, BrowserWindow, WebContentsView } = require('electron');
const { appLayout } = require('./layout');
const { APP, ENGINE } = require('./policy');

const PRELOADS = path.join(__dirname, '..', 'preload');

/** @typedef {(contents: import('electron').WebContents) => void} Guard called before a page is loaded */

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
 * @param {Guard} guard
 * @param {() => void} onSessionEnd called on Windows when the user logs off: no other word comes before the end
 */
function openEngineWindow(guard, onSessionEnd) {
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
  window.once('session-end', onSessionEnd);
  window.once('ready-to-show', () => window.show());
  window.loadURL(`${ENGINE}/`);
  return window;
}

/**
 * Opens the app's window: its pages, and under them, while it is wanted, a bar. The bar is a page of its own, and takes
 * its room from the app's pages: nothing of theirs is covered, and no script of ours runs in them.
 *
 * @param {Guard} guard
 * @param {() => void} onSessionEnd as of the engine's window
 */
function openAppWindow(guard, onSessionEnd) {
  const window = new BaseWindow({
    width: 1280,
    height: 860,
    minWidth: 640,
    minHeight: 480,
    title: 'PEFT Studio',
    show: false,
  });
  const pages = new WebContentsView({ webPreferences: preferences('app.js') });
  const bar = new WebContentsView({ webPreferences: preferences('engine.js') });
  let barIsShown = false;

  function lay() {
    const { zoomFactor } = bar.webContents;
    const layout = appLayout(window.getContentBounds(), barIsShown ? zoomFactor : 0);
    pages.setBounds(layout.pages);
    bar.setBounds(layout.bar);
    bar.setVisible(barIsShown);
  }

  for (const [view, url] of /** @type {const} */ ([
    [pages, `${APP}/`],
    [bar, `${ENGINE}/bar.html`],
  ])) {
    guard(view.webContents);
    window.contentView.addChildView(view);
    view.webContents.loadURL(url);
  }
  lay();
  window.on('resize', lay);
  window.once('session-end', onSessionEnd);
  pages.webContents.once('did-finish-load', () => window.show());
  // Unlike a BrowserWindow, this one leaves its pages running.
  window.once('closed', () => [pages, bar].forEach((view) => view.webContents.close()));
  return Object.freeze({
    window,
    pages: pages.webContents,
    bar: bar.webContents,
    /** @param {boolean} wanted */
    showBar(wanted) {
      if (wanted === barIsShown) return;
      barIsShown = wanted;
      lay();
    },
  });
}

module.exports = { openAppWindow, openEngineWindow };
