// The staged engine itself, as the app runs it. PEFT_STUDIO_RESOURCES names its folder; where it is not
// set, vitest.config.mjs leaves this file out.

import { once } from 'node:events';
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { BackendServiceManager } from '../../electron-resources/main/backend-service-manager.js';
import { runAct } from '../../electron-resources/main/act.js';
import { locateEngine } from '../../electron-resources/main/paths.js';
import { request } from '../../electron-resources/main/request.js';
import { folder, keptLog, later } from './engines.mjs';
import { awaitNobody, processesWith } from './processes.mjs';
import { pack } from './packed.mjs';

const RESOURCES = process.env.PEFT_STUDIO_RESOURCES;

/** The app's resources with the staged engine in it, and a home of its own for each. */
function app() {
  const root = folder();
  fs.symlinkSync(path.resolve(RESOURCES), path.join(root, 'backend'));
  const home = path.join(root, 'home');
  const context = {
    isPackaged: true,
    platform: process.platform,
    resourcesPath: root,
    repository: '',
    environment: {},
    home,
  };
  later(() => {
    for (const pid of processesWith(home)) process.kill(pid, 'SIGKILL');
    return awaitNobody(home, 2_000);
  });
  return { root, home, place: locateEngine(context) };
}

function run({ place }) {
  const log = keptLog();
  const options = { place, platform: process.platform, environment: process.env, token: 'a-token', log };
  const manager = new BackendServiceManager(options);
  later(() => manager.stop());
  return Object.assign(manager, { log });
}

describe('the staged engine', { timeout: 120_000 }, () => {
  test('installs, becomes ready, answers with its token alone, restarts at once, and leaves nobody', async () => {
    const installed = app();
    const manager = run(installed);
    const events = new Set();
    manager.on('event', ({ event }) => events.add(event));
    await manager.start();
    expect([...events]).toEqual(expect.arrayContaining(['step', 'installed', 'starting', 'listening']));
    expect(manager.metrics().readyMs - manager.metrics().listeningMs).toBeLessThan(100);
    const ask = (token) => request(manager.base, '/api/system/info', { token, timeoutMs: 5_000 });
    expect((await ask('a-token')).status).toBe(200);
    expect((await ask('another')).status).toBe(401);
    expect(
      JSON.parse((await request(manager.base, '/api/engine', { token: 'a-token', timeoutMs: 5_000 })).body),
    ).toHaveProperty('part');

    const first = manager.status().pid;
    process.kill(first, 'SIGKILL');
    await new Promise((resolve) =>
      manager.on('state', ({ phase, child }) => phase === 'ready' && child === 2 && resolve()),
    );
    expect(manager.status().pid).not.toBe(first);

    const began = performance.now();
    await manager.stop();
    await awaitNobody(installed.home, 100);
    expect(performance.now() - began).toBeLessThan(1_500);
    expect(manager.log.failures).toHaveLength(1);
  });

  test('repairs what was damaged, and is ready after that', async () => {
    const installed = app();
    const log = keptLog();
    const act = (name) =>
      runAct(installed.place, name, {
        platform: process.platform,
        environment: process.env,
        log,
        onEvent: () => undefined,
      });
    await act('install').answer;
    const [slot] = fs.readdirSync(path.join(installed.home, 'rt'));
    const victim = path.join(installed.home, 'rt', slot, 'conda-meta', 'history');
    const found = fs.existsSync(victim) ? victim : path.join(installed.home, 'rt', slot, 'bin', 'conda-unpack');
    fs.chmodSync(found, 0o644);
    fs.appendFileSync(found, 'damage');
    expect(await act('repair').answer).toMatchObject({ act: 'repair', did: 'restored' });
    const manager = run(installed);
    await manager.start();
    await manager.stop();
  });

  test('killed with SIGKILL while it installs or runs, its owner leaves nobody', async () => {
    const owner = path.join(import.meta.dirname, 'owner.js');
    for (const moment of [50, 200, 500, 900, 1_500, 2_500]) {
      const { root, home } = app();
      const options = JSON.stringify({ resourcesPath: root, home });
      const owning = spawn(process.execPath, [owner, options], { stdio: ['ignore', 'ignore', 'inherit'] });
      await pause(moment); // the moment itself is what is tried
      owning.kill('SIGKILL');
      await once(owning, 'exit');
      await awaitNobody(home, 2_000);
    }
  });
});

test('packed by electron-builder, the staged engine is whole and runs', { timeout: 120_000 }, async () => {
  const packed = await pack(path.resolve(RESOURCES));
  const program = path.join(packed, 'resources', 'backend', 'peft_engine');
  const { stdout } = await promisify(execFile)(program, ['--status', '--json', '--home', folder()]);
  expect(JSON.parse(stdout.trim().split('\n').at(-1))).toMatchObject({
    event: 'result',
    act: 'status',
    state: 'missing',
  });
});
