'use strict';

// The app: one instance, one engine, and the windows that show them. Wiring only; what is decided is decided elsewhere.

const { randomBytes } = require('node:crypto');
const { existsSync } = require('node:fs');
const path = require('node:path');
const { app, dialog, ipcMain, Menu, Notification, powerMonitor, shell } = require('electron');
const { autoUpdater } = require('electron-updater');
const { ENGINE: ENGINE_CHANNELS } = require('../channels');
const { Acts } = require('./acts');
const { BackendServiceManager } = require('./backend-service-manager');
const { invocations, succeed } = require('./bridge');
const { Commands } = require('./commands');
const { followEngine } = require('./follow');
const { declareScheme, guardContents, guardRequests, guardSession, watchLoading } = require('./guard');
const { openLog } = require('./log');
const { menuTemplate } = require('./menu');
const { OpenedFiles, openedIn } = require('./opened');
const { OrphanRecord } = require('./orphan');
const { engineArguments, passOn } = require('./pass-on');
const { locateEngine } = require('./place');
const { APP, isOurs } = require('./policy');
const { Presenter } = require('./presenter');
const { Quitting } = require('./quitting');
const { connectUpdater } = require('./updater');
const { Versions } = require('./versions');
const { leaveApp, unloaded, welcome } = require('./welcome');
const { openAppWindow, openEngineWindow } = require('./window');
const { Windows } = require('./windows');

const ROOT = path.join(__dirname, '..');
const FOLDERS = Object.freeze({
  app: path.join(app.getAppPath(), 'renderer', 'dist'),
  engine: path.join(ROOT, 'first-run'),
});
const { platform } = process;

const userFolder = app.getPath('userData');
const settingsFile = path.join(userFolder, 'settings.json');

const quit = () => app.quit();

/** What there is to do outside of the app's own windows. */
const SYSTEM = Object.freeze({
  openPath: shell.openPath,
  /** @param {string} url */
  openBrowser: (url) => shell.openExternal(url),
  /** @param {string} file */
  showInFolder: (file) => shell.showItemInFolder(file),
  async chooseFolder() {
    const { filePaths } = await dialog.showOpenDialog({ properties: ['openDirectory', 'createDirectory'] });
    return filePaths[0] ?? null;
  },
  /** @param {string} name */
  async chooseFile(name) {
    const { filePath } = await dialog.showSaveDialog({ defaultPath: path.join(app.getPath('downloads'), name) });
    return filePath || null;
  },
});

/** @returns {import('./place').Place} of the engine that belongs to this app */
function place() {
  const { isPackaged } = app;
  const { resourcesPath, env: environment } = process;
  return locateEngine({ isPackaged, platform, resourcesPath, repository: path.join(ROOT, '..'), environment });
}

/** @typedef {ReturnType<typeof assemble>} Parts */

/** Makes the parts of the app, none of which does anything yet. */
function assemble() {
  const token = randomBytes(32).toString('base64url');
  const log = openLog(app.getPath('logs'), { secrets: [token], console: !app.isPackaged });
  const orphan = new OrphanRecord(path.join(userFolder, 'engine.json'), platform);
  const environment = process.env;
  const manager = new BackendServiceManager({ place: place(), platform, environment, token, log, orphan });
  const acts = new Acts({ platform, environment, log });
  const presenter = new Presenter(manager);
  const windows = prepareWindows({ manager, presenter, log });
  /** @param {string} channel @param {unknown} payload */
  const send = (channel, payload) => windows.tellApp(channel, payload);
  /** @param {Error} error of something that the engine runs well without */
  const warn = (error) => log.warn(error.stack ?? error.message);
  const showApp = () => welcome({ manager, presenter, windows, folder: FOLDERS.app, platform, warn });
  const updater = connectUpdater(autoUpdater, {
    send,
    canUpdate: existsSync(path.join(process.resourcesPath, 'app-update.yml')),
    stopEngine: () => manager.stop(),
    startEngine: () => commands.start(),
    log,
  });
  const versions = new Versions({
    place,
    app: app.getAppPath(),
    user: userFolder,
    settings: settingsFile,
    platform,
    acts,
    log,
  });
  const commands = new Commands({ manager, presenter, place, versions, acts, log, ...SYSTEM, showApp, quit });
  const opened = new OpenedFiles(manager, {
    onImported: (name) => {
      new Notification({ title: name, body: 'This configuration is in your library now.' }).show();
      send('configuration-imported', { name });
    },
    onRefused: (file, reason) => dialog.showErrorBox(`${path.basename(file)} could not be opened`, reason),
  });
  return Object.freeze({
    log,
    orphan,
    manager,
    acts,
    presenter,
    windows,
    send,
    warn,
    showApp,
    updater,
    versions,
    commands,
    opened,
  });
}

/** @param {{manager: BackendServiceManager, presenter: Presenter, log: import('./log').Log}} parts */
function prepareWindows({ manager, presenter, log }) {
  /** @param {import('electron').WebContents} contents */
  const guard = (contents) => {
    guardContents(contents, manager);
    watchLoading(contents, (url, reason) => {
      log.error(`${url} did not load: ${reason}`);
      if (url.startsWith(`${APP}/`)) leaveApp({ presenter, windows }, unloaded(reason));
    });
  };
  const windows = new Windows({
    engine: () => openEngineWindow(guard, quit),
    app: () => openAppWindow(guard, quit),
  });
  return windows;
}

/**
 * Tells our pages what they show, and does what they ask for.
 *
 * @param {Parts} parts
 */
function servePages({ manager, presenter, windows, log, updater, commands }) {
  /** @param {string} channel @param {(...args: any[]) => unknown} answer */
  function listen(channel, answer) {
    ipcMain.handle(channel, (event, ...args) => {
      if (!isOurs(event.senderFrame?.url ?? '')) throw new Error('Only pages of PEFT Studio may ask for this.');
      return answer(...args);
    });
  }

  presenter.on('view', (view) => windows.tellEngine(ENGINE_CHANNELS.view, view));
  listen(ENGINE_CHANNELS.viewNow, () => presenter.view);
  listen(ENGINE_CHANNELS.press, (button) => succeed(() => commands.press(button)));
  const table = invocations({
    version: app.getVersion(),
    manager,
    updater,
    log,
    commands,
    openPath: SYSTEM.openPath,
    notify: ({ urgency, ...note }) =>
      new Notification({ ...note, urgency: /** @type {'low' | 'normal' | 'critical'} */ (urgency) }).show(),
    setProgress: (fraction) => windows.setProgress(fraction),
  });
  for (const [channel, answer] of Object.entries(table)) listen(channel, answer);
}

/**
 * Does what the system and other starts ask of the app, its end first of all.
 *
 * @param {Parts} parts
 * @param {() => void} endBeside ends what goes on beside the engine
 */
function followApp({ manager, acts, windows, opened, log }, endBeside) {
  const quitting = new Quitting({
    isIdle: () => manager.state.child === null && !acts.areRunning,
    end: () => {
      endBeside();
      return Promise.all([manager.stop(), acts.end()]);
    },
    quit,
    relaunch: (args) => app.relaunch({ args: [...args] }),
    log,
  });
  app.on('second-instance', (_event, argv, folder) => {
    if (quitting.hasBegun) {
      // It comes after this one, which shows what it still has to do.
      windows.showEngine();
      quitting.startAgain([...argv.slice(1).filter((word) => word.startsWith('-')), ...openedIn(argv, folder)]);
      return;
    }
    windows.focus();
    opened.add(openedIn(argv, folder));
  });
  app.on('open-file', (event, file) => {
    event.preventDefault();
    opened.add([file]);
  });
  app.on('window-all-closed', quit);
  app.on('before-quit', (event) => quitting.hold(event));
}

/** @param {import('./log').Log} log */
function endWithBugs(log) {
  process.on('uncaughtException', (error) => {
    log.error(`a bug: ${error.stack}`);
    // Ending closes the engine's stdin, which ends the engine.
    app.exit(70);
  });

  // Electron only warns of these; a promise that nobody watches is a bug all the same.
  process.on('unhandledRejection', (error) => {
    throw error;
  });
}

/**
 * Shows the engine's window, and starts the engine.
 *
 * @param {Parts} parts
 */
async function begin({ manager, presenter, windows, orphan, commands, log, warn }) {
  guardSession(manager, FOLDERS);
  // Of Linux and macOS; Windows tells windows.
  powerMonitor.on('shutdown', holdShutdown);
  const showEngine = () => windows.showEngine();
  const press = (/** @type {string} */ button) => commands.press(button).catch(warn);
  Menu.setApplicationMenu(Menu.buildFromTemplate(menuTemplate(platform, { showEngine, press })));
  windows.showEngine();
  await endOrphan({ orphan, presenter, log });
  await commands.start();
}

/** The system waits for the app's end; Electron's types leave the event out. @param {{preventDefault: () => void}} [event] */
function holdShutdown(event) {
  event?.preventDefault();
  quit();
}

/** @param {Pick<Parts, 'orphan' | 'presenter' | 'log'>} parts */
async function endOrphan({ orphan, presenter, log }) {
  try {
    const end = await orphan.endOrphan({ onWait: (pid) => presenter.hear({ event: 'waiting', pid }) });
    if (end === 'killed') log.warn('an engine left by an earlier PEFT Studio was killed');
  } catch (error) {
    // It may hold the port; then the backend says so, or takes another one.
    log.error(`an engine left by an earlier PEFT Studio is still there: ${error}`);
  }
}

function run() {
  const parts = assemble();
  parts.opened.add(openedIn(process.argv, process.cwd()));
  const endBeside = followEngine({ ...parts, onAddress: () => guardRequests(parts.manager) });
  servePages(parts);
  followApp(parts, endBeside);
  endWithBugs(parts.log);
  app.whenReady().then(() => begin(parts));
}

const passedOn = engineArguments(process.argv);
declareScheme();
if (passedOn !== null) passOn(place(), passedOn, (status) => app.exit(status));
else if (app.requestSingleInstanceLock()) run();
else app.quit();
