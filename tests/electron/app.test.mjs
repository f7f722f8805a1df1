// The app's main process as a whole, with a stand-in for Electron and a real engine process.

import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { answerOf, did, isFailed, startApp } from './app.mjs';
import { folder, gated } from './engines.mjs';
import { failed } from './failures.mjs';
import { awaitNobody } from './processes.mjs';

test('the engine’s page comes first, sandboxed and isolated, and follows the engine until it is ready', async () => {
  const { next, told, ready } = startApp([
    { say: { event: 'step', name: 'unpack', done: 1, total: 2, unit: 'bytes' } },
    { serve: {} },
  ]);
  expect(await next(did('schemes'))).toMatchObject({
    schemes: [{ scheme: 'peft-studio', privileges: { standard: true, secure: true } }],
  });
  expect(await next(did('window'))).toMatchObject({
    url: 'peft-studio://engine/',
    webPreferences: {
      preload: 'engine.js',
      contextIsolation: true,
      nodeIntegration: false,
      sandbox: true,
      webSecurity: true,
    },
  });
  await next(({ payload }) => payload?.progress?.step === 'unpack');
  await ready();
  expect(told.filter(did('filter'))).toHaveLength(1);
});

test('once all is there, the page says which engine it is and where it lies', async () => {
  const status = { event: 'result', act: 'status', version: '0.1.0', home: '/h', bytes: 5, state: 'ready', log: '' };
  const { next } = startApp({ start: [{ serve: {} }], '--status': [{ say: status }, { exit: 0 }] });
  const { payload } = await next((what) => what.payload?.installed);
  expect(payload).toMatchObject({ mood: 'ready', installed: { version: '0.1.0', home: '/h', bytes: 5 } });
});

test('a page of ours gets answers, any other one a refusal', async () => {
  const { next, ask, ready } = startApp();
  await ready();
  ask({ invoke: 'backend-status' });
  expect(await next(answerOf('backend-status'))).toMatchObject({
    did: 'answer',
    value: { running: true, restartAttempts: 0 },
  });
  ask({ invoke: 'backend-health-check' });
  expect((await next(answerOf('backend-health-check'))).value).toMatchObject({ healthy: true });
  ask({ invoke: 'get-app-version' });
  expect((await next(answerOf('get-app-version'))).value).toEqual({ version: '1.0.1' });
  ask({ invoke: 'backend-get-logs' });
  expect((await next(answerOf('backend-get-logs'))).value.logs).toContain('engine, production');
  ask({ invoke: 'backend-restart', from: 'https://evil.example/' });
  expect(await next(answerOf('backend-restart'))).toMatchObject({ did: 'refusal' });
  ask({ invoke: 'backend-force-restart' });
  expect((await next(answerOf('backend-force-restart'))).value).toMatchObject({ running: true });
});

test('the token is added to requests of our pages to the announced port, and to no other', async () => {
  const { next, ask, ready } = startApp();
  const { urls } = await next(did('filter'));
  await ready();
  const base = urls[0].slice(0, -2);
  const headers = async (url, page) => {
    ask({ headers: { url, page } });
    return (await next(did('headers'))).requestHeaders;
  };
  expect(urls.map((url) => new URL(url).protocol).sort()).toEqual(['http:', 'http:', 'ws:', 'ws:']);
  expect(await headers(`${base}/api/x`, 'peft-studio://app/')).toEqual({
    Authorization: expect.stringMatching(/^Bearer .{40,}/),
  });
  expect(await headers(`${base.replace('http', 'ws')}/ws/x`, 'peft-studio://app/')).toHaveProperty('Authorization');
  expect(await headers(`${base}/api/x`, 'https://evil.example/')).toEqual({});
  expect(await headers('http://127.0.0.1:1/api/x', 'peft-studio://app/')).toEqual({});
});

test('the scheme serves our pages with a strict policy, and nothing outside their folders', async () => {
  const { next, ask, ready } = startApp();
  await ready();
  const served = (url) => (ask({ serve: url }), next(did('served')));
  expect(await served('peft-studio://engine/')).toMatchObject({
    status: 200,
    policy: expect.stringContaining("default-src 'none'"),
  });
  expect(await served('peft-studio://engine/..%2fmain%2findex.js')).toMatchObject({ status: 404 });
  expect(JSON.parse((await served('peft-studio://app/api/deployments?x=1')).body)).toMatchObject({
    url: expect.stringMatching(/127\.0\.0\.1:\d+\/api\/deployments\?x=1$/),
    authorization: expect.stringMatching(/^Bearer /),
  });
});

test('what a page wants of the system is decided by the policy, asked or looked up', async () => {
  const { next, ask, ready } = startApp();
  await ready();
  const wants = (permission, page) => (ask({ permission, page }), next(did('permission')));
  const write = 'clipboard-sanitized-write';
  expect(await wants(write, 'peft-studio://app/')).toMatchObject({ given: true, checked: true });
  expect(await wants(write, 'https://evil.example/')).toMatchObject({ given: false, checked: false });
  expect(await wants('media', 'peft-studio://app/')).toMatchObject({ given: false, checked: false });
});

test('a page goes to no page but ours, and downloads from the engine with the token', async () => {
  const { next, ask, ready } = startApp();
  const { urls } = await next(did('filter'));
  await ready();
  const goes = (url) => (ask({ navigate: url }), next(did('navigation')));
  expect(await goes('https://evil.example/')).toMatchObject({ prevented: true });
  expect(await goes('peft-studio://engine/')).toMatchObject({ prevented: false });
  const url = `${urls[0].slice(0, -2)}/api/report.zip`;
  ask({ open: url });
  expect(await next(did('download'))).toMatchObject({
    url,
    headers: { Authorization: expect.stringMatching(/^Bearer .{40,}/) },
  });
  expect(await next(did('opened'))).toMatchObject({ action: 'deny' });
});

test('windows that pages open go to the browser, or nowhere', async () => {
  const { next, ask, ready } = startApp();
  await ready();
  ask({ open: 'https://huggingface.co/a/b' });
  expect(await next(did('browser'))).toMatchObject({ url: 'https://huggingface.co/a/b' });
  ask({ open: 'file:///etc/passwd' });
  expect(await next(did('opened'))).toMatchObject({ action: 'deny' });
});

test('a failure is shown with its remedy, and the button tries again', async () => {
  const flag = path.join(folder(), 'once');
  const full = failed('disk-full', 'Full.', 'Free some.');
  const { next, press, ready } = startApp([{ once: flag, steps: [{ say: full }, { exit: 85 }] }, { serve: {} }]);
  const { payload } = await next(isFailed);
  expect(payload.problem).toMatchObject({
    title: 'The disk is full',
    remedy: 'Free some.',
    buttons: ['retry', 'choose-home', 'quit'],
  });
  press('retry');
  await ready();
});

const BROKEN = failed('install-damaged', 'Not whole.', 'Repair it.');

test('the Repair button stops the engine, repairs it before everybody’s eyes, and starts it again', async () => {
  const repairs = [
    { say: { event: 'step', name: 'restore', done: 1, total: 4, unit: 'bytes' } },
    { say: { event: 'result', act: 'repair', did: 'restored' } },
    { exit: 0 },
  ];
  const { next, press, ready } = startApp({ start: [{ serve: {} }], '--repair': repairs });
  await ready();
  press('repair');
  await next(({ payload }) => payload?.progress?.step === 'restore');
  await ready();
  expect(await next(answerOf('engine-press'))).toMatchObject({ did: 'answer' });
});

test('a repair that fails is shown with its own reason', async () => {
  const { next, press, ready } = startApp({ start: [{ serve: {} }], '--repair': [{ say: BROKEN }, { exit: 89 }] });
  await ready();
  press('repair');
  const { payload } = await next(isFailed);
  expect(payload.problem).toMatchObject({
    message: 'Not whole.',
    remedy: 'Repair it.',
    end: 'It ended with status 89.',
  });
  expect(await next(answerOf('engine-press'))).toMatchObject({ value: { success: false, error: 'Not whole.' } });
});

test('cancelled in the middle of a repair, the app ends and leaves nobody', async () => {
  const { app, root, next, press, ready } = startApp({
    start: [{ serve: {} }],
    '--repair': [{ say: { event: 'step', name: 'restore', done: 1, total: 4, unit: 'bytes' } }],
  });
  await ready();
  press('repair');
  await next(({ payload }) => payload?.progress?.step === 'restore');
  press('cancel');
  await once(app, 'exit');
  await awaitNobody(root);
});

test('quitting ends the engine, then the app, and leaves nobody', async () => {
  const { app, root, ask, ready, told } = startApp();
  await ready();
  ask({ quit: true });
  expect(await once(app, 'exit')).toEqual([0, null]);
  expect(told.filter(did('quit'))).toHaveLength(1);
  await awaitNobody(root, 0);
});

test.each(['sessionEnd', 'shutdown'])('at the end of the session (%s) the engine ends before the app', async (how) => {
  const { app, root, ask, ready } = startApp();
  await ready();
  ask({ [how]: true });
  expect(await once(app, 'exit')).toEqual([0, null]);
  await awaitNobody(root, 0);
});

test('the log that a failure names is the one that its button opens', async () => {
  const log = '/home/ada/logs/install.log';
  const { next, press } = startApp([{ say: { ...BROKEN, log } }, { exit: 89 }]);
  await next(isFailed);
  press('open-log');
  expect(await next(did('path'))).toMatchObject({ file: log });
});

test.each(['SIGKILL', 'SIGTERM', 'SIGABRT'])('ended by %s, the app leaves nobody', async (signal) => {
  const { app, root, ready } = startApp();
  await ready();
  app.kill(signal);
  await once(app, 'exit');
  await awaitNobody(root);
});

test('killed at any moment of its start, the app leaves nobody', async () => {
  for (let moment = 100; moment <= 600; moment += 50) {
    const { app, root } = startApp();
    await pause(moment); // the moment itself is what is tried
    app.kill('SIGKILL');
    await once(app, 'exit');
    await awaitNobody(root);
  }
});

test('started again after a crash, the app waits for work that is being saved, and says so', async () => {
  const saves = gated();
  const { app, root, ready } = startApp([{ saves }, { serve: {} }]);
  const record = path.join(root, 'user', 'userData', 'engine.json');
  await ready();
  await expect.poll(() => fs.existsSync(record)).toBe(true);
  app.kill('SIGKILL');
  await once(app, 'exit');
  const again = startApp([{ serve: {} }], { root });
  await again.next(({ payload }) => payload?.progress?.step === 'waiting');
  fs.writeFileSync(saves.until, '');
  await again.ready();
  expect(fs.existsSync(saves.file)).toBe(true);
});

test('a bug in the main process ends it, and the engine with it', async () => {
  const { app, root, ready, ask } = startApp();
  await ready();
  ask({ throw: true });
  const [code] = await once(app, 'exit');
  expect(code).toBe(70);
  await awaitNobody(root);
});

test('a second instance starts nothing', async () => {
  const { app, told } = startApp([{ serve: {} }], { primary: false });
  await once(app, 'exit');
  expect(told.filter(did('window'))).toEqual([]);
});

test('asked by a second instance, the first one shows itself', async () => {
  const { next, ask, ready } = startApp();
  await ready();
  ask({ second: ['peft-studio'] });
  await next(did('focus'));
});

test('started again while a training saves its work at the end, the app shows that, and comes back after it', async () => {
  const saves = gated();
  const { app, told, next, ask, ready } = startApp([
    { saves },
    { serve: { jobs: [{ state: 'running' }], stubborn: true } },
  ]);
  await ready();
  ask({ close: true });
  await next(did('closed'));
  ask({ second: ['peft-studio', '--some-switch', 'mine.peftconfig'] });
  await next(did('window'));
  fs.writeFileSync(saves.until, '');
  await next(did('relaunch'));
  expect(await once(app, 'exit')).toEqual([0, null]);
  expect(fs.existsSync(saves.file)).toBe(true);
  expect(told.find(did('relaunch')).args).toEqual(['--some-switch', path.join(process.cwd(), 'mine.peftconfig')]);
});

test('an engine on another machine that cannot be used is told of on the page', async () => {
  const { next } = startApp([], { env: { PEFT_STUDIO_REMOTE_URL: 'http://gpu.example' } });
  const { payload } = await next(isFailed);
  expect(payload.problem).toMatchObject({
    code: 'REMOTE_INVALID',
    message: 'http://gpu.example has to begin with https://, since a token is sent there.',
    buttons: ['quit'],
  });
});

test('after --engine the app is the launcher: its arguments, its output, its status', async () => {
  const { app, told } = startApp(
    { '--status': [{ babble: 'the answer\n' }, { exit: 88 }] },
    { argv: ['--engine', '--status'] },
  );
  expect(await once(app, 'close')).toEqual([88, null]);
  expect(told).toContain('the answer');
  expect(told.filter(did('window'))).toEqual([]);
});
