// electron-builder packs the app around a stand-in for Electron, and the engine is started from what it packed.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { FuseV1Options, getCurrentFuseWire } from '@electron/fuses';
import { describe, expect, test } from 'vitest';
import { judgeArtifact } from '../../electron-resources/build/artifacts.js';
import { checkCopy, checkEngineFolder } from '../../electron-resources/build/engine-folder.js';
import { fakeResources, folder, service } from './engines.mjs';

const HERE = path.join(import.meta.dirname, '..', '..', 'electron-resources');
const BUILDER = path.join(HERE, 'node_modules', 'electron-builder', 'cli.js');
const { version: ELECTRON } = JSON.parse(
  fs.readFileSync(path.join(HERE, 'node_modules', 'electron', 'package.json'), 'utf8'),
);

const digest = (content) => createHash('sha256').update(content).digest('hex');
const named = (name, content) => ({ name, size: Buffer.byteLength(content), sha256: digest(content) });

/** A staged engine: the fake program, with the documents that the real one has. */
function staged() {
  const { resourcesPath, program } = fakeResources();
  const made = path.join(resourcesPath, 'backend');
  const write = (name, content) => fs.writeFileSync(path.join(made, name), content);
  const script = fs.readFileSync(program, 'utf8');
  write('runtime.tar.zst', 'an archive');
  write('index.json.zst', 'an index');
  write(
    'manifest.json',
    JSON.stringify({ parts: [named('runtime.tar.zst', 'an archive')], index: named('index.json.zst', 'an index') }),
  );
  write('engine.json', JSON.stringify({ path: 'peft_engine', size: script.length, checksum: digest(script) }));
  fs.mkdirSync(path.join(made, '_internal', 'lib'), { recursive: true });
  write('_internal/lib/python.so', 'a library');
  fs.symlinkSync('python.so', path.join(made, '_internal', 'lib', 'python.so.1'));
  return made;
}

/** A folder as Electron's own download has it; its program holds what fuses are written into, and nothing else. */
function standIn() {
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
async function pack(engine) {
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

describe('a packed app', { timeout: 60_000 }, () => {
  test('holds the engine whole, which starts from there, and has its fuses set', async () => {
    const packed = await pack(staged());
    const resourcesPath = path.join(packed, 'resources');
    const manager = service([{ serve: {} }], { resources: { resourcesPath } });
    await manager.start();
    expect(manager.processInfo().command).toBe(path.join(resourcesPath, 'backend', 'peft_engine'));
    const fuses = await getCurrentFuseWire(path.join(packed, 'peft-studio'));
    const off = [
      FuseV1Options.RunAsNode,
      FuseV1Options.EnableNodeOptionsEnvironmentVariable,
      FuseV1Options.EnableNodeCliInspectArguments,
      FuseV1Options.GrantFileProtocolExtraPrivileges,
    ];
    const on = [
      FuseV1Options.OnlyLoadAppFromAsar,
      FuseV1Options.EnableEmbeddedAsarIntegrityValidation,
      FuseV1Options.EnableCookieEncryption,
    ];
    expect(off.map((fuse) => String.fromCharCode(fuses[fuse]))).toEqual(['0', '0', '0', '0']);
    expect(on.map((fuse) => String.fromCharCode(fuses[fuse]))).toEqual(['1', '1', '1']);
  });

  test.runIf(process.env.PEFT_STUDIO_RESOURCES !== undefined)(
    'holds the staged engine, which runs from there',
    async () => {
      const packed = await pack(path.resolve(process.env.PEFT_STUDIO_RESOURCES));
      const program = path.join(packed, 'resources', 'backend', 'peft_engine');
      const { stdout } = await promisify(execFile)(program, ['--status', '--json', '--home', folder()]);
      expect(JSON.parse(stdout.trim().split('\n').at(-1))).toMatchObject({
        event: 'result',
        act: 'status',
        state: 'missing',
      });
    },
  );

  test.each([
    ['no engine at all', (engine) => fs.rmSync(engine, { recursive: true }), 'engine.json'],
    [
      'an archive cut short',
      (engine) => fs.truncateSync(path.join(engine, 'runtime.tar.zst'), 3),
      'runtime.tar.zst has 3 bytes instead of 10',
    ],
    ['another launcher', (engine) => fs.appendFileSync(path.join(engine, 'peft_engine'), '#'), 'peft_engine has'],
  ])('is not made of %s', async (_, spoil, reason) => {
    const engine = staged();
    spoil(engine);
    await expect(pack(engine)).rejects.toMatchObject({ stdout: expect.stringContaining(reason) });
  });
});

// Feature: python-backend-bundling, Property 6: resource access and executable bit
describe('an engine', () => {
  test('with any one byte changed in any documented file is refused', async () => {
    const engine = staged();
    await checkEngineFolder(engine, 'linux');
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('peft_engine', 'runtime.tar.zst', 'index.json.zst'),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (name, place, change) => {
          const file = path.join(engine, name);
          const whole = fs.readFileSync(file);
          const spoiled = Buffer.from(whole);
          spoiled[place % whole.length] ^= change;
          fs.writeFileSync(file, spoiled);
          await expect(checkEngineFolder(engine, 'linux')).rejects.toThrow(`${name} does not have the sha256`);
          fs.writeFileSync(file, whole);
        },
      ),
      { numRuns: 100 },
    );
  });

  test('that is not executable is refused', async () => {
    const engine = staged();
    fs.chmodSync(path.join(engine, 'peft_engine'), 0o644);
    await expect(checkEngineFolder(engine, 'linux')).rejects.toThrow('peft_engine is not executable');
  });

  test.each([
    [
      'a file is missing',
      (copy) => fs.rmSync(path.join(copy, '_internal', 'lib', 'python.so')),
      '_internal/lib/python.so was not copied',
    ],
    [
      'a link became a file',
      (copy) => {
        const link = path.join(copy, '_internal', 'lib', 'python.so.1');
        fs.rmSync(link);
        fs.writeFileSync(link, 'a library');
      },
      'should be a link to python.so',
    ],
    ['a bit is lost', (copy) => fs.chmodSync(path.join(copy, 'peft_engine'), 0o644), 'should be a file of'],
    ['something is added', (copy) => fs.writeFileSync(path.join(copy, 'extra'), ''), 'extra does not belong there'],
  ])('is not the same copied if %s', async (_, spoil, reason) => {
    const engine = staged();
    const copy = path.join(folder(), 'copy');
    fs.cpSync(engine, copy, { recursive: true, verbatimSymlinks: true });
    await checkCopy(engine, copy);
    spoil(copy);
    await expect(checkCopy(engine, copy)).rejects.toThrow(reason);
  });
});

test.each([
  ['a web installer is small', { name: 'Setup.exe', size: 1e6, engineBytes: 3e9 }, null],
  [
    'a program over 2 GiB is malformed',
    { name: 'Setup.exe', size: 2 ** 31, engineBytes: 3e9 },
    'more than an NSIS program can hold',
  ],
  ['an image that lost something', { name: 'a.dmg', size: 2e9, engineBytes: 3e9 }, 'cannot hold'],
  ['an image that holds it', { name: 'a.AppImage', size: 31e8, engineBytes: 3e9 }, null],
])('%s', (_, artifact, reason) => {
  const problem = judgeArtifact(artifact);
  if (reason === null) expect(problem).toBe(null);
  else expect(problem).toContain(reason);
});
