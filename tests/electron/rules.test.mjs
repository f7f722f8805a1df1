// What holds across files: who may require Electron, and that names that stand twice are the same.

import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import channels from '../../electron-resources/channels.js';

const HERE = path.join(import.meta.dirname, '..', '..', 'electron-resources');
const MAY_REQUIRE_ELECTRON = [
  'main/index.js',
  'main/window.js',
  'main/guard.js',
  'preload/app.js',
  'preload/engine.js',
];
const sources = ['main', 'preload', 'build']
  .flatMap((folder) => fs.readdirSync(path.join(HERE, folder)).map((name) => `${folder}/${name}`))
  .filter((name) => name.endsWith('.js'));
const read = (name) => fs.readFileSync(path.join(HERE, name), 'utf8');
const requires = (name) => [...read(name).matchAll(/require\(\s*'([^']+)'\s*\)/g)].map((match) => match[1]);

test('only the edge requires Electron', () => {
  expect(sources.filter((name) => requires(name).includes('electron')).sort()).toEqual(
    [...MAY_REQUIRE_ELECTRON].sort(),
  );
});

test('everything else loads under plain Node', async () => {
  const plain = sources.filter((name) => !MAY_REQUIRE_ELECTRON.includes(name));
  for (const name of plain) await expect(import(path.join(HERE, name))).resolves.toBeDefined();
});

test('a sandboxed preload requires nothing but Electron', () => {
  for (const name of ['preload/app.js', 'preload/engine.js']) expect(requires(name)).toEqual(['electron']);
});

test('modules require no circle', () => {
  const reach = (name, path_ = []) => {
    expect(path_).not.toContain(name);
    for (const required of requires(name).filter((id) => id.startsWith('./')))
      reach(`main/${path.basename(required)}.js`, [...path_, name]);
  };
  reach('main/index.js');
});

test('the preloads use the channels of channels.js, each by its own name', () => {
  const text = read('preload/app.js').replaceAll(/\s+/g, ' ');
  for (const [method, channel] of Object.entries(channels.BRIDGE))
    expect(text).toContain(`${method}: ask('${channel}')`);
  for (const [method, channel] of Object.entries(channels.EVENTS))
    expect(text).toContain(`${method}: on('${channel}')`);
  const used = [...text.matchAll(/: (?:ask|on)\('([^']+)'\)/g)].map((match) => match[1]);
  expect([...new Set(used)].sort()).toEqual(
    [...new Set([...Object.values(channels.BRIDGE), ...Object.values(channels.EVENTS)])].sort(),
  );
  for (const channel of Object.values(channels.ENGINE)) expect(read('preload/engine.js')).toContain(`'${channel}'`);
});

test('each file is short enough to be read at once', () => {
  for (const name of sources) expect(`${name}: ${read(name).split('\n').length > 301}`).toBe(`${name}: false`);
});

test('the lock file names no host', () => {
  expect(read('package-lock.json')).not.toContain('"resolved": "http');
  const { dependencies, devDependencies } = JSON.parse(read('package.json'));
  for (const version of Object.values({ ...dependencies, ...devDependencies }))
    expect(version).toMatch(/^\d+\.\d+\.\d+$/);
});

test('the app’s own folder is not the engine’s home, which macOS keeps in the same place', () => {
  const home = /user_data_dir\("([^"]+)"/.exec(fs.readFileSync(path.join(HERE, '..', 'launcher', 'home.py'), 'utf8'));
  expect(home[1]).toBe('peft-studio');
  expect(JSON.parse(read('package.json')).productName).toBe('PEFT Studio');
});

test('each test that docs/app.md names exists', () => {
  const page = fs.readFileSync(path.join(HERE, '..', 'docs', 'app.md'), 'utf8');
  const named = [...page.matchAll(/`([\w-]+\.test\.mjs)::([^`]+)`/g)];
  expect(named.length).toBeGreaterThan(50);
  for (const [, file, title] of named) {
    const text = fs.readFileSync(path.join(import.meta.dirname, file), 'utf8');
    expect(text.includes(`test('${title}'`) ? '' : `${file} has no test “${title}”`).toBe('');
  }
});
