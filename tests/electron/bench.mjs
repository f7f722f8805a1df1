// What the Electron part takes with the staged engine: `node tests/electron/bench.mjs [KILLS]`, with PEFT_STUDIO_RESOURCES
// naming the engine. Prints tables; judges nothing.

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { readyAfterListening, watchFirstStart } from './bench-service.mjs';
import { drive, lineTo } from './drive.mjs';
import { awaitNobody } from './processes.mjs';

const RESOURCES = path.resolve(process.env.PEFT_STUDIO_RESOURCES);
const MODELS = path.join(import.meta.dirname, '..', 'builders', 'models.py');
const KILLS = Number(process.argv[2] ?? 100);
const ROUNDS = 10;

/** After a kill nobody may be left for longer, in milliseconds; a running job has its grace period before. */
const LIMIT_MS = 2_000;
const GRACE_MS = 30_000;
const NEVER_MS = 2 * (GRACE_MS + LIMIT_MS);

const TRAINING = { max_steps: 100_000, batch_size: 8, lora_dropout: 0, seed: 7 };

const place = fs.mkdtempSync(path.join(os.tmpdir(), 'peft-bench-'));
process.on('exit', () => fs.rmSync(place, { recursive: true, force: true }));
let made = 0;

/** The app around the staged engine, in a folder by which all of its processes can be found. */
function app(home) {
  const root = path.join(place, `app-${(made += 1)}`);
  fs.mkdirSync(path.join(root, 'resources'), { recursive: true });
  fs.symlinkSync(RESOURCES, path.join(root, 'resources', 'backend'));
  const options = { resourcesPath: path.join(root, 'resources'), userData: path.join(root, 'user') };
  const env = { PEFT_STUDIO_HOME: home ?? path.join(root, 'home'), HF_HOME: path.join(root, 'hub'), OWNED: root };
  return { ...drive(options, env), root };
}

const ms = (number) => `${Math.round(number)} ms`;
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
const row = (...cells) => process.stdout.write(`| ${cells.join(' | ')} |\n`);
const table = (...heads) => {
  process.stdout.write('\n');
  row(...heads);
  row(...heads.map((_, index) => (index === 0 ? '---' : '--:')));
};

/** Kills the app and returns how long others lived on, in milliseconds; throws where they do not end at all. */
async function kill({ app: main, root }) {
  main.kill('SIGKILL');
  const at = performance.now();
  if (main.exitCode === null && main.signalCode === null) await once(main, 'exit');
  await awaitNobody(root, NEVER_MS);
  return performance.now() - at;
}

async function isWhole(driven) {
  const { base, headers } = await lineTo(driven);
  while ((await (await fetch(`${base}/api/engine`, { headers })).json()).part !== 'whole') await pause(50);
}

/** @returns {Promise<number>} what a first start takes to the whole engine, in milliseconds */
async function install(home) {
  const began = performance.now();
  const driven = app(home);
  await driven.ready();
  await isWhole(driven);
  const took = performance.now() - began;
  driven.ask({ quit: true });
  await once(driven.app, 'exit');
  return took;
}

function makeModel(home) {
  const [slot] = fs.readdirSync(path.join(home, 'rt'));
  const python = path.join(home, 'rt', slot, 'bin', 'python3');
  const folder = path.join(place, 'material');
  execFileSync(python, ['-I', '-B', MODELS, folder]);
  return { model: path.join(folder, 'model'), dataset: path.join(folder, 'dataset.jsonl') };
}

async function killInstalling(tookMs) {
  const driven = app();
  await pause(Math.random() * tookMs); // the moment itself is what is tried
  const gone = await kill(driven);
  await fs.promises.rm(driven.root, { recursive: true, force: true });
  return gone;
}

async function killIdle(home) {
  const driven = app(home);
  await driven.ready();
  await pause(Math.random() * 2_000);
  return kill(driven);
}

async function killTraining(home, material) {
  const driven = app(home);
  await driven.ready();
  const { base, headers } = await lineTo(driven);
  const body = JSON.stringify({ ...TRAINING, ...material });
  const started = await fetch(`${base}/api/training/start`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body,
  });
  if (!started.ok) throw new Error(await started.text());
  const { job_id: job } = await started.json();
  const step = async () => (await (await fetch(`${base}/api/training/${job}`, { headers })).json()).metrics.length;
  // Half of them while the worker still imports, the others while it trains.
  if (Math.random() < 0.5) while ((await step()) === 0) await pause(100);
  await pause(Math.random() * 3_000);
  const gone = await kill(driven);
  fs.rmSync(path.join(home, 'data'), { recursive: true, force: true });
  return gone;
}

async function killTable(tookMs, home, material) {
  table('`kill -9` of the main process', 'times', 'within', 'of them longer', 'until nobody, median', 'longest');
  const share = Math.ceil(KILLS / 3);
  for (const [when, count, act] of [
    ['installing', share, () => killInstalling(tookMs)],
    ['idle', share, () => killIdle(home)],
    ['training', KILLS - 2 * share, () => killTraining(home, material)],
  ]) {
    const limit = when === 'training' ? GRACE_MS + LIMIT_MS : LIMIT_MS;
    const took = [];
    for (let number = 0; number < count; number += 1) took.push(await act());
    const late = took.filter((each) => each > limit).length;
    row(when, count, ms(limit), late, ms(median(took)), ms(Math.max(...took)));
  }
}

/** Starts and quits: from the wish to nobody, and, by the service's own clock, from `listening` to ready. */
async function quitTable(home) {
  const quits = [];
  const readies = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const driven = app(home);
    await driven.ready();
    driven.ask({ quit: true });
    const at = performance.now();
    await once(driven.app, 'exit');
    await awaitNobody(driven.root, LIMIT_MS);
    quits.push(performance.now() - at);
    readies.push(await readyAfterListening({ resources: RESOURCES, home }));
  }
  table(`${ROUNDS} starts`, 'median', 'longest');
  row('quit to all processes gone, idle', ms(median(quits)), ms(Math.max(...quits)));
  row('`listening` to ready', ms(median(readies)), ms(Math.max(...readies)));
}

async function behindTable() {
  const { page, bar } = await watchFirstStart({ resources: RESOURCES, home: path.join(place, 'watched') });
  table('a first start', 'figures told', 'shown', 'told to shown, longest', 'between two told, longest', 'took');
  for (const [name, found] of [
    ['first-run page', page],
    ['bar', bar],
  ])
    row(name, found.told, found.shown, ms(found.delayMs), ms(found.betweenMs), ms(found.tookMs));
}

const home = path.join(place, 'home');
await behindTable();
const tookMs = await install(home);
await quitTable(home);
await killTable(tookMs, home, makeModel(home));
