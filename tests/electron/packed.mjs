// Packing for the tests: a staged engine, and electron-builder with a stand-in for Electron.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { fakeResources, folder } from './engines.mjs';

export const HERE = path.join(import.meta.dirname, '..', '..', 'electron-resources');
const BUILDER = path.join(HERE, 'node_modules', 'electron-builder', 'cli.js');
const { version: ELECTRON } = JSON.parse(
  fs.readFileSync(path.join(HERE, 'node_modules', 'electron', 'package.json'), 'utf8'),
);

const digest = (content) => createHash('sha256').update(content).digest('hex');
const named = (name, content) => ({ name, size: Buffer.byteLength(content), sha256: digest(content) });

/** A staged engine: the fake program, or another one, with the documents that the real one has. */
export function staged({ program = 'peft_engine', content = null } = {}) {
  const { resourcesPath, program: fake } = fakeResources();
  const made = path.join(resourcesPath, 'backend');
  const write = (name, text) => fs.writeFileSync(path.join(made, name), text);
  const launcher = content ?? fs.readFileSync(fake);
  if (content !== null) write(program, content);
  write('runtime.tar.zst', 'an archive');
  write('index.json.zst', 'an index');
  write(
    'manifest.json',
    JSON.stringify({ parts: [named('runtime.tar.zst', 'an archive')], index: named('index.json.zst', 'an index') }),
  );
  write('engine.json', JSON.stringify({ path: program, size: launcher.length, checksum: digest(launcher) }));
  fs.mkdirSync(path.join(made, '_internal', 'lib'), { recursive: true });
  write('_internal/lib/python.so', 'a library');
  fs.symlinkSync('python.so', path.join(made, '_internal', 'lib', 'python.so.1'));
  return made;
}

/** A folder as Electron's own download has it; its program holds what fuses are written into, and nothing else. */
export function standIn() {
  const made = folder();
  const wire = Buffer.concat([
    Buffer.from('dL7pKGdnNz796PbbjQWNKmHXBZaB9tsX'),
    Buffer.from([1, 9]),
    Buffer.from('011001011'),
  ]);
  fs.writeFileSync(path.join(made, 'electron'), Buffer.concat([Buffer.from('\x7fELF'), wire]), { mode: 0o755 });
  for (const name of ['LICENSE', 'LICENSES.chromium.html']) fs.writeFileSync(path.join(made, name), '');
  fs.writeFileSync(path.join(made, 'version'), ELECTRON);
  fs.mkdirSync(path.join(made, 'locales'));
  fs.mkdirSync(path.join(made, 'resources'));
  return made;
}

/** Packs the app; returns the folder that it was packed to. */
export async function pack(engine) {
  const output = folder();
  const args = [
    BUILDER,
    '--dir',
    '--linux',
    '--x64',
    '--config',
    'electron-builder.config.js',
    `-c.electronDist=${standIn()}`,
    `-c.directories.output=${output}`,
  ];
  const env = { ...process.env, PEFT_STUDIO_RESOURCES: engine };
  await promisify(execFile)(process.execPath, args, { cwd: HERE, env });
  return path.join(output, 'linux-unpacked');
}
