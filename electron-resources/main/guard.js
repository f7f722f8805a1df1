'use strict';

// Applies policy.js to Electron: the scheme, the session, and every page.

const { readFile } = require('node:fs/promises');
const { net, protocol, session, shell } = require('electron');
const policy = require('./policy');
const { isSystemError } = require('./processes');

/** Chromium's code of a load that another one overtook, or a guard refused. */
const ABORTED = -3;

/** @typedef {{base: string, token: string}} Backend */

/** To be called before the app is ready. */
function declareScheme() {
  const privileges = { standard: true, secure: true, supportFetchAPI: true, corsEnabled: true, stream: true };
  protocol.registerSchemesAsPrivileged([{ scheme: policy.SCHEME, privileges }]);
}

/**
 * Guards the session that all windows share.
 *
 * @param {Backend} backend where it is now: asked at each use
 * @param {Readonly<Record<string, string>>} folders of the scheme's hosts
 */
function guardSession(backend, folders) {
  const { defaultSession } = session;
  defaultSession.setPermissionRequestHandler((contents, permission, answer) =>
    answer(policy.mayUse(permission, contents.getURL())),
  );
  defaultSession.setPermissionCheckHandler((contents, permission) =>
    policy.mayUse(permission, contents?.getURL() ?? ''),
  );
  defaultSession.protocol.handle(policy.SCHEME, (request) => serve(request, backend, folders));
}

/**
 * Lets requests of our pages to the backend carry its token. To be called again when its address changes: of several
 * listeners, only the last one holds.
 *
 * @param {Backend} backend
 */
function guardRequests(backend) {
  const filter = { urls: policy.tokenPatterns(backend.base) };
  session.defaultSession.webRequest.onBeforeSendHeaders(filter, ({ url, requestHeaders, webContents }, answer) => {
    answer({ requestHeaders: policy.withToken({ url, requestHeaders, pageUrl: webContents?.getURL() }, backend) });
  });
}

/**
 * Keeps a page where it is.
 *
 * @param {import('electron').WebContents} contents
 * @param {Backend} backend
 */
function guardContents(contents, backend) {
  contents.on('will-navigate', (event) => {
    if (!policy.isOurs(event.url)) event.preventDefault();
  });
  contents.on('will-attach-webview', (event) => event.preventDefault());
  contents.setWindowOpenHandler(({ url }) => {
    const fate = policy.windowFor(url, backend.base);
    if (fate === 'browser') shell.openExternal(url);
    if (fate === 'download') contents.downloadURL(url, { headers: { Authorization: `Bearer ${backend.token}` } });
    return { action: 'deny' };
  });
}

/**
 * Tells of each page that does not load, but of none whose load was only broken off.
 *
 * @param {import('electron').WebContents} contents
 * @param {(url: string, reason: string) => void} tell
 */
function watchLoading(contents, tell) {
  contents.on('did-fail-load', (_event, code, reason, url, isMainFrame) => {
    if (isMainFrame && code !== ABORTED) tell(url, reason || `error ${code}`);
  });
}

/**
 * @param {Request} request
 * @param {Backend} backend
 * @param {Readonly<Record<string, string>>} folders
 * @returns {Promise<Response>}
 */
async function serve(request, backend, folders) {
  const url = new URL(request.url);
  // Some pages ask for /api/… of wherever they come from.
  if (url.hostname === 'app' && url.pathname.startsWith('/api/')) return forward(request, url, backend);
  const file = policy.fileFor(request.url, folders);
  const content = file === null ? null : await read(file);
  if (file === null || content === null) return new Response('There is no such page.', { status: 404 });
  const headers = {
    'content-type': policy.typeOf(file),
    'content-security-policy': policy.contentPolicy(url.hostname, backend.base),
    'x-content-type-options': 'nosniff',
  };
  return new Response(content, { headers });
}

/** @param {Request} request @param {URL} url @param {Backend} backend @returns {Promise<Response>} */
function forward(request, url, { base, token }) {
  const headers = new Headers(request.headers);
  headers.set('authorization', `Bearer ${token}`);
  headers.set('origin', policy.APP);
  const body = request.body === null ? {} : { body: request.body, duplex: /** @type {const} */ ('half') };
  return net.fetch(new URL(url.pathname + url.search, base).href, { method: request.method, headers, ...body });
}

/** @param {string} file */
async function read(file) {
  try {
    return await readFile(file);
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'EISDIR', 'ENOTDIR')) return null;
    throw error;
  }
}

module.exports = { declareScheme, guardContents, guardRequests, guardSession, watchLoading };
