'use strict';

// Runs main/index.js with stand-ins for electron and electron-updater, and patience: `node fake-electron.js OPTIONS`.
// Says as JSON lines what the app does to them, and does as the lines of its stdin ask: {"invoke": channel, "args": […],
// "from": url}, {"quit": true}, {"sessionEnd": true}, {"shutdown": true}, {"permission": name, "page": url}, {"navigate": url}, {"failLoad": […], "page": url}, {"close": true}, {"throw": true}, {"second": argv}, {"menu": label}, {"openFile": file}, {"headers": {…}}, {"open": url}, {"serve": url}.

const { EventEmitter } = require('node:events');
const path = require('node:path');
const readline = require('node:readline');

const MAIN = path.join(__dirname, '..', '..', 'electron-resources', 'main');

/** What only an engine that hangs takes to answer, in milliseconds. */
const HANG_MS = 60_000;

const {
  resourcesPath,
  userData,
  appPath = '',
  argv = [],
  primary = true,
  chosen = null,
  broken = null, // the page that does not load at first
} = JSON.parse(process.argv[2]);
const tell = (did, facts = {}) => process.stdout.write(`${JSON.stringify({ did, ...facts })}\n`);

process.resourcesPath = resourcesPath;
process.argv = [process.argv[0], ...argv];

class App extends EventEmitter {
  isPackaged = true;
  getPath = (name) => path.join(userData, name);
  getAppPath = () => appPath;
  getVersion = () => '1.0.1';
  requestSingleInstanceLock = () => primary;
  whenReady = () => Promise.resolve();
  exit = (code) => process.exit(code);
  relaunch = ({ args }) => tell('relaunch', { args });
  quit() {
    let prevented = false;
    this.emit('before-quit', { preventDefault: () => (prevented = true) });
    if (prevented) return;
    tell('quit');
    process.exit(0);
  }
}

const pages = [];
class Contents extends EventEmitter {
  constructor(kind, webPreferences) {
    super();
    this.kind = kind;
    this.webPreferences = { ...webPreferences, preload: path.basename(webPreferences.preload) };
    pages.push(this);
  }
  zoomFactor = 1;
  loadURL(url) {
    this.url = url;
    tell(this.kind, { url, webPreferences: this.webPreferences });
    const loads = url !== broken || pages.some((page) => page !== this && page.url === url);
    setImmediate(() => (loads ? this.emit('did-finish-load') : this.failLoad(-6, 'ERR_FILE_NOT_FOUND')));
  }
  failLoad = (code, reason, isMainFrame = true) => this.emit('did-fail-load', {}, code, reason, this.url, isMainFrame);
  reload = () => tell('reload', { url: this.url });
  close = () => tell('page-closed', { url: this.url });
  send = (channel, payload) => tell('send', { to: this.url, channel, payload });
  setWindowOpenHandler = (open) => (this.open = open);
  downloadURL = (url, { headers }) => tell('download', { url, headers });
}

const windows = [];
class BaseWindow extends EventEmitter {
  constructor() {
    super();
    windows.push(this);
  }
  contentView = { addChildView: () => undefined };
  getContentBounds = () => ({ x: 5, y: 50, width: 1000, height: 700 });
  show() {
    tell('show');
    this.emit('show');
  }
  focus = () => tell('focus');
  isMinimized = () => false;
  setProgressBar = (share) => tell('progress', { share });
  close() {
    windows.splice(windows.indexOf(this), 1);
    this.emit('closed');
    tell('closed');
    if (windows.length === 0) app.emit('window-all-closed');
  }
}

class BrowserWindow extends BaseWindow {
  constructor({ webPreferences }) {
    super();
    this.webContents = new Contents('window', webPreferences);
  }
  loadURL = (url) => this.webContents.loadURL(url);
}

class WebContentsView {
  constructor({ webPreferences }) {
    this.webContents = new Contents('view', webPreferences);
  }
  setBounds = (bounds) => (this.bounds = bounds);
  setVisible = (visible) => tell('bounds', { url: this.webContents.url, visible, ...this.bounds });
}

let menu = [];
const invocations = new Map();
const session = { webRequest: {}, protocol: {} };
session.setPermissionRequestHandler = (ask) => (session.ask = ask);
session.setPermissionCheckHandler = (check) => (session.check = check);
session.webRequest.onBeforeSendHeaders = (filter, change) => {
  session.change = change;
  tell('filter', { urls: filter.urls });
};
session.protocol.handle = (_scheme, serve) => (session.serve = serve);

const app = new App();
const electron = {
  app,
  BaseWindow,
  BrowserWindow,
  dialog: {
    showOpenDialog: async () => ({ filePaths: chosen === null ? [] : [chosen] }),
    showSaveDialog: async ({ defaultPath }) => ({
      filePath: chosen === null ? '' : path.join(chosen, path.basename(defaultPath)),
    }),
    showErrorBox: (title, reason) => tell('error-box', { title, reason }),
  },
  ipcMain: { handle: (channel, answer) => invocations.set(channel, answer) },
  Menu: { setApplicationMenu: (template) => (menu = template), buildFromTemplate: (template) => template },
  WebContentsView,
  net: {
    fetch: async (url, { headers, method }) =>
      new Response(JSON.stringify({ url, method, authorization: headers.get('authorization') })),
  },
  Notification: class {
    constructor(note) {
      this.note = note;
    }
    show = () => tell('notification', this.note);
  },
  powerMonitor: new EventEmitter(),
  protocol: { registerSchemesAsPrivileged: (schemes) => tell('schemes', { schemes }) },
  session: { defaultSession: session },
  shell: {
    openPath: async (file) => (tell('path', { file }), ''),
    openExternal: async (url) => tell('browser', { url }),
    showItemInFolder: (file) => tell('shown', { file }),
  },
};
const autoUpdater = Object.assign(new EventEmitter(), {
  checkForUpdates: async () => autoUpdater.emit('update-not-available', {}),
});

/** Puts a stand-in where `require` looks first. */
function stand(name, exports) {
  const id = require.resolve(name, { paths: [MAIN] });
  require.cache[id] = { id, filename: id, loaded: true, exports };
}
stand('electron', electron);
stand('electron-updater', { autoUpdater });
// A slow machine is no hung engine.
const { TIMING, ...health } = require(path.join(MAIN, 'health'));
stand('./health', { ...health, TIMING: { ...TIMING, timeoutMs: HANG_MS } });

const acts = {
  async invoke(channel, { args = [], from = 'peft-studio://app/' }) {
    try {
      tell('answer', { channel, value: await invocations.get(channel)({ senderFrame: { url: from } }, ...args) });
    } catch (error) {
      tell('refusal', { channel, message: error.message });
    }
  },
  quit: () => app.quit(),
  close: () => windows[0].close(),
  sessionEnd: () => windows[0].emit('session-end'),
  shutdown: () => electron.powerMonitor.emit('shutdown', { preventDefault: () => tell('shutdown held') }),
  permission(name, { page }) {
    const contents = { getURL: () => page };
    session.ask(contents, name, (given) => tell('permission', { given, checked: session.check(contents, name) }));
  },
  navigate(url) {
    let prevented = false;
    pages[0].emit('will-navigate', { url, preventDefault: () => (prevented = true) });
    tell('navigation', { prevented });
  },
  failLoad: (how, { page }) => pages.findLast(({ url }) => url === page).failLoad(...how),
  menu: (label) =>
    menu
      .flatMap(({ submenu = [] }) => submenu)
      .find((entry) => entry.label === label)
      .click(),
  second: (words) => app.emit('second-instance', {}, words, process.cwd()),
  openFile: (file) => app.emit('open-file', { preventDefault: () => undefined }, file),
  throw: () =>
    setImmediate(() => {
      throw new Error('a bug');
    }),
  headers: (details) =>
    session.change({ requestHeaders: {}, ...details, webContents: { getURL: () => details.page } }, (given) =>
      tell('headers', given),
    ),
  open: (url) => tell('opened', pages[0].open({ url })),
  async serve(url) {
    const response = await session.serve(new Request(url));
    tell('served', {
      status: response.status,
      body: await response.text(),
      policy: response.headers.get('content-security-policy'),
    });
  },
};
readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const asked = JSON.parse(line);
  const [[name, value]] = Object.entries(asked);
  await acts[name](value, asked);
});

require(path.join(MAIN, 'index.js'));
