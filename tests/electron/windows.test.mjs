// The app's own window: which pages it may show, and the bar under them.

import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holderOf, listeners, parseLsof, parsePowerShell } from '../../electron-resources/main/holder.js';
import { appLayout } from '../../electron-resources/main/layout.js';
import { welcome } from '../../electron-resources/main/welcome.js';
import { did, isFailed, startApp } from './app.mjs';
import { folder, later } from './engines.mjs';

const ANY_PORT = '<!doctype html><meta name="engine-port" content="any" />';
const OLDER = '<!doctype html><title>port 8000 is compiled in</title>';
const APP_PAGE = 'peft-studio://app/';
const BAR_PAGE = 'peft-studio://engine/bar.html';
const arriving = (done) => ({ part: 'core', state: 'arriving', done, total: 1_000, unit: 'bytes' });
const WHOLE = { part: 'whole', state: 'ready', done: null, total: null, unit: null };

const isBar = (visible) => (what) => what.did === 'bounds' && what.url === BAR_PAGE && what.visible === visible;

test('pages that take any port get the app’s window, and the engine’s goes', async () => {
  const { next } = startApp([{ serve: {} }], { pages: ANY_PORT });
  expect(await next(({ url }) => url === APP_PAGE)).toMatchObject({
    did: 'view',
    webPreferences: { preload: 'app.js', contextIsolation: true, nodeIntegration: false, sandbox: true },
  });
  await next(did('closed'));
});

test('pages that do not load leave the engine’s window to be seen, which says why, and loads them again', async () => {
  const { next, ask, press } = startApp([{ serve: {} }], { pages: ANY_PORT, broken: APP_PAGE });
  const { payload } = await next(isFailed);
  expect(payload.problem).toMatchObject({
    code: 'PAGES_NOT_LOADED',
    message: 'Its pages did not load: ERR_FILE_NOT_FOUND. The engine runs on.',
    buttons: ['show-app', 'get-app', 'open-log', 'quit'],
  });
  expect(await next(did('page-closed'))).toMatchObject({ url: APP_PAGE });
  ask({ invoke: 'backend-get-logs' });
  expect((await next(did('answer'))).value.logs).toContain(`${APP_PAGE} did not load: ERR_FILE_NOT_FOUND`);
  press('show-app');
  await next(({ payload: view }) => view?.mood === 'ready');
  await next(({ did: what, url }) => what === 'view' && url === APP_PAGE);
  await next(did('closed')); // the engine's window
});

test('a load that was broken off, or of a frame alone, is no failure', async () => {
  const { next, ask, told } = startApp([{ serve: {} }], { pages: ANY_PORT });
  await next(did('closed')); // the engine's window
  for (const how of [
    [-3, 'ERR_ABORTED', true],
    [-6, 'ERR_FILE_NOT_FOUND', false],
  ])
    ask({ failLoad: how, page: APP_PAGE });
  ask({ invoke: 'get-app-version' });
  await next(did('answer'));
  expect(told.filter(isFailed)).toEqual([]);
});

test('pages are loaded again for an engine at another address, which their policy did not let them reach', async () => {
  const { next, ask, told } = startApp([{ serve: {} }], { pages: ANY_PORT });
  await next(did('closed')); // the engine's window
  ask({ invoke: 'backend-restart' });
  expect(await next(did('reload'))).toMatchObject({ url: APP_PAGE });
  expect(told.filter(did('view')).filter(({ url }) => url === APP_PAGE)).toHaveLength(1);
});

test('while the rest of the engine arrives, a bar of our own says how far, beside the pages and not over them', async () => {
  const engine = path.join(folder(), 'engine.json');
  const answer = (state) => {
    fs.writeFileSync(`${engine}.new`, JSON.stringify(state));
    fs.renameSync(`${engine}.new`, engine); // no question finds half of it
  };
  answer(arriving(0));
  const { next, told } = startApp([{ serve: { engine } }], { pages: ANY_PORT });
  const { y, height } = await next(isBar(true));
  answer(arriving(700));
  expect(await next(({ to, payload }) => to === BAR_PAGE && payload.arrival?.done === 700)).toMatchObject({
    payload: { mood: 'ready', arrival: { done: 700, total: 1_000 } },
  });
  answer(WHOLE);
  await next(isBar(false));
  expect({ y, height }).toEqual({ y: 668, height: 32 });
  expect(told).toContainEqual({ did: 'progress', share: 0.7 });
  // The app's pages are told too, and get no script of ours for that.
  expect(told.filter(({ to, channel }) => to === APP_PAGE && channel === 'engine-arrival')).not.toEqual([]);
});

test('a window that is closed takes its pages with it, the bar’s too', async () => {
  const { next, ask } = startApp([{ serve: {} }], { pages: ANY_PORT });
  await next(did('show'));
  await next(did('closed')); // the engine's
  ask({ close: true });
  expect([(await next(did('page-closed'))).url, (await next(did('page-closed'))).url]).toEqual([APP_PAGE, BAR_PAGE]);
  await next(did('quit'));
});

/** Takes port 8000 if nobody else has it already. */
async function takePort8000() {
  const server = http.createServer((_request, response) => response.end());
  await new Promise((resolve) => server.once('error', resolve).listen(8000, '127.0.0.1', resolve));
  later(() => server.close());
  return server.listening ? process.pid : null;
}

describe('pages that know port 8000 alone', () => {
  test('are replaced on another port by a page that names who holds it; Retry finds the engine a better one', async () => {
    const pid = await takePort8000();
    const { next, press, told } = startApp([{ serve: {} }], { pages: OLDER });
    const { payload } = await next(isFailed);
    expect(payload.problem).toMatchObject({
      code: 'PORT_IN_USE',
      title: 'Port 8000 is in use',
      message: expect.stringMatching(/^Port 8000 was taken by .+ The engine is at http:\/\/127\.0\.0\.1:\d+,/),
      buttons: ['retry', 'quit'],
    });
    if (pid !== null) expect(payload.problem.message).toContain(`(process ${pid})`);
    expect(told.filter(({ url }) => url === APP_PAGE)).toEqual([]);
    const before = told.length;
    press('retry');
    await next(({ did: what, channel }) => what === 'answer' && channel === 'engine-press');
    // It was stopped, and asked for port 8000 again.
    expect(told.slice(before).filter(did('filter'))).toHaveLength(1);
  });
});

describe('who holds a port', () => {
  test('is named by PID and program', async () => {
    const server = http.createServer();
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address();
    expect(await holderOf(port, process.platform)).toMatchObject({
      pid: process.pid,
      program: expect.stringMatching(/./),
    });
    await new Promise((resolve) => server.close(resolve));
    expect(await holderOf(port, process.platform)).toBe(null);
  });

  test('is read of what each system says', () => {
    expect(parseLsof('p5092\ncssh\nf7\n')).toEqual({ pid: 5092, program: 'ssh' });
    expect(parsePowerShell('5092 ssh\r\n')).toEqual({ pid: 5092, program: 'ssh' });
    expect([parseLsof(''), parsePowerShell('')]).toEqual([null, null]);
  });

  test('is neither who talks to that port, nor who listens on another', () => {
    const line = (port, state, inode) =>
      `   0: 0100007F:${port} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000        0 ${inode} 1`;
    const table = ['  sl  local_address', line('1F40', '0A', 11), line('1F40', '01', 12), line('1F41', '0A', 13)];
    expect(listeners(table.join('\n'), 8000)).toEqual(['11']);
  });
});

test('pages and bar fill the window between them, whatever its size and the bar’s zoom', () => {
  const size = fc.record({ width: fc.nat(8_000), height: fc.nat(5_000) });
  fc.assert(
    fc.property(size, fc.double({ min: 0, max: 5, noNaN: true }), (content, zoom) => {
      const { pages, bar } = appLayout(content, zoom);
      expect([pages.width, bar.width, pages.height + bar.height, bar.y]).toEqual([
        content.width,
        content.width,
        content.height,
        pages.height,
      ]);
      expect(Math.min(pages.height, bar.height)).toBeGreaterThanOrEqual(0);
      if (zoom === 0) expect(pages.height).toBe(content.height);
    }),
    { numRuns: 500 },
  );
});

test('pages that know this computer alone are told that the engine is on another one', async () => {
  const told = [];
  const windows = { leaveApp: () => told.push('left'), showApp: () => told.push('shown') };
  const pages = folder();
  fs.writeFileSync(path.join(pages, 'index.html'), OLDER);
  const presenter = { fail: (problem) => told.push(problem.code) };
  const manager = { base: 'https://gpu.example', state: { child: 1 } };
  await welcome({ manager, presenter, windows, folder: pages, platform: process.platform, warn: () => undefined });
  expect(told).toEqual(['REMOTE_UNSEEN', 'left']);
});
