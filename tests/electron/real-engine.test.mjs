// The staged engine itself, as the app runs it. PEFT_STUDIO_RESOURCES names its folder; where it is not
// set, vitest.config.mjs leaves this file out.

import { once } from 'node:events';
import { execFile, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BackendServiceManager } from '../../electron-resources/main/backend-service-manager.js';
import { Acts } from '../../electron-resources/main/acts.js';
import { TIMING } from '../../electron-resources/main/health.js';
import { OpenedFiles } from '../../electron-resources/main/opened.js';
import { request } from '../../electron-resources/main/request.js';
import { Versions } from '../../electron-resources/main/versions.js';
import { drive, lineTo } from './drive.mjs';
import { HANG_MS, folder, keptLog, later, packedIn } from './engines.mjs';
import { awaitNobody, killAll } from './processes.mjs';
import { pack } from './packed.mjs';

const RESOURCES = process.env.PEFT_STUDIO_RESOURCES;

const { platform } = process;

/** The app's resources with the staged engine in it, and a home of its own, or the given one. */
function app(home) {
  const root = folder();
  fs.symlinkSync(path.resolve(RESOURCES), path.join(root, 'backend'));
  const environment = { ...process.env, PEFT_STUDIO_HOME: home ?? path.join(root, 'home'), HF_HOME: root, OWNED: root };
  later(() => killAll(root));
  return { root, place: packedIn(root), environment, home: environment.PEFT_STUDIO_HOME };
}

function run({ place, environment }) {
  const log = keptLog();
  const timing = { ...TIMING, timeoutMs: HANG_MS };
  const manager = new BackendServiceManager({ place, platform, environment, token: 'a-token', log, timing });
  later(() => manager.stop());
  return Object.assign(manager, { log });
}

/** Runs an act of the launcher. */
function act({ place, environment }, ...asked) {
  return new Acts({ platform, environment, log: keptLog() }).run(place, asked).answer;
}

test('a first start installs, becomes ready, answers with its token alone, restarts at once, and leaves nobody', async () => {
  const installed = app();
  const manager = run(installed);
  const events = new Set();
  manager.on('event', ({ event }) => events.add(event));
  await manager.start();
  expect([...events]).toEqual(expect.arrayContaining(['step', 'installed', 'starting', 'listening']));
  const ask = (route, token) => request(manager.base, route, { token, timeoutMs: HANG_MS });
  expect((await ask('/api/system/info', 'a-token')).status).toBe(200);
  expect((await ask('/api/system/info', 'another')).status).toBe(401);
  expect(JSON.parse((await ask('/api/engine', 'a-token')).body)).toHaveProperty('part');

  const first = manager.status().pid;
  process.kill(first, 'SIGKILL');
  await new Promise((resolve) =>
    manager.on('state', ({ phase, child }) => phase === 'ready' && child === 2 && resolve()),
  );
  expect(manager.status().pid).not.toBe(first);

  await manager.stop();
  await awaitNobody(installed.root);
  expect(manager.log.failures).toHaveLength(1);
});

test('killed with SIGKILL while it installs, its owner leaves nobody', async () => {
  const owner = path.join(import.meta.dirname, 'owner.js');
  for (const moment of [50, 200, 500, 900, 1_500, 2_500]) {
    const { root, environment } = app();
    const owning = spawn(process.execPath, [owner, JSON.stringify({ resourcesPath: root })], {
      env: environment,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    await pause(moment); // the moment itself is what is tried
    owning.kill('SIGKILL');
    await once(owning, 'exit');
    await awaitNobody(root);
  }
});

describe('an engine that is installed', () => {
  let home;

  beforeAll(async () => {
    home = await fs.promises.mkdtemp(path.join(os.tmpdir(), 'peft-electron-home-'));
    const { place, environment } = app(home);
    await act({ place, environment }, 'install');
  });

  afterAll(() => fs.promises.rm(home, { recursive: true, force: true, maxRetries: 5 }));

  const python = () => path.join(home, 'rt', fs.readdirSync(path.join(home, 'rt'))[0], 'bin', 'python3');

  test('is repaired where it was damaged, and is ready after that', async () => {
    const installed = app(home);
    const victim = path.join(path.dirname(python()), 'conda-unpack');
    fs.chmodSync(victim, 0o644);
    fs.appendFileSync(victim, 'damage');
    expect(await act(installed, 'repair')).toMatchObject({ act: 'repair', did: 'restored' });
    const manager = run(installed);
    await manager.start();
    await manager.stop();
  });

  test('takes a configuration that is opened with the app', async () => {
    const manager = run(app(home));
    await manager.start();
    const file = path.join(folder(), 'mine.peftconfig');
    fs.writeFileSync(file, JSON.stringify({ metadata: { name: 'small' }, configuration: { rank: 8 } }));
    const told = [];
    const listener = { onImported: (name) => told.push(name), onRefused: (_file, reason) => told.push(reason) };
    const opened = new OpenedFiles(manager, listener);
    opened.add([file]);
    await expect.poll(() => told).toEqual(['small']);
    await manager.stop();
  });

  test('is started by a launcher that was kept without its archive, once the app has another engine', async () => {
    const { root, place, environment } = app(home);
    const acts = new Acts({ platform, environment, log: keptLog() });
    const parts = { app: root, user: root, settings: path.join(root, 'settings.json'), platform, acts };
    const versions = new Versions({ ...parts, place: () => place, log: keptLog() });
    await versions.noteHealthy(place);
    expect(await versions.previous()).toBe(null); // it is the present one
    const update = folder();
    fs.mkdirSync(path.join(update, 'backend'));
    fs.writeFileSync(path.join(update, 'backend', 'manifest.json'), '{"runtime": "the new one"}');
    const previous = await new Versions({ ...parts, place: () => packedIn(update), log: keptLog() }).previous();
    expect(fs.readdirSync(previous.cwd).sort()).toEqual(['_internal', 'engine.json', 'manifest.json', 'peft_engine']);
    const manager = run({ place: previous, environment });
    await manager.start();
    await manager.stop();
  });

  test('that trains when its owner is killed saves its work in its grace period, and then is gone', async () => {
    const { root, environment } = app(home);
    const material = path.join(root, 'material');
    execFileSync(python(), ['-I', '-B', path.join(import.meta.dirname, '..', 'builders', 'models.py'), material]);
    const driven = drive({ resourcesPath: root, userData: path.join(root, 'user') }, environment);
    await driven.ready();
    const { base, headers } = await lineTo(driven);
    const body = { model: path.join(material, 'model'), dataset: path.join(material, 'dataset.jsonl'), max_steps: 1e6 };
    const started = await fetch(`${base}/api/training/start`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ ...body, lora_dropout: 0, batch_size: 8 }),
    });
    const { job_id: job } = await started.json();
    const metrics = async () => (await (await fetch(`${base}/api/training/${job}`, { headers })).json()).metrics;
    await expect.poll(metrics).not.toEqual([]);
    driven.app.kill('SIGKILL');
    await once(driven.app, 'exit');
    await awaitNobody(root, 60_000);
    const saved = fs.readdirSync(path.join(home, 'data'), { recursive: true });
    expect(saved.filter((name) => /checkpoint-\d+$/.test(name))).not.toEqual([]);
  });
});

test('packed by electron-builder, the staged engine is whole and runs', async () => {
  const packed = await pack(path.resolve(RESOURCES));
  const program = path.join(packed, 'resources', 'backend', 'peft_engine');
  const { stdout } = await promisify(execFile)(program, ['--status', '--json', '--home', folder()]);
  expect(JSON.parse(stdout.trim().split('\n').at(-1))).toMatchObject({
    event: 'result',
    act: 'status',
    state: 'missing',
  });
});
