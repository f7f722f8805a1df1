// electron-builder packs the app around a stand-in for Electron, and the engine is started from what it packed.

import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { FuseV1Options, getCurrentFuseWire } from '@electron/fuses';
import { describe, expect, test } from 'vitest';
import { judgeArtifact } from '../../electron-resources/build/artifacts.js';
import { checkCopy, checkEngineFolder } from '../../electron-resources/build/engine-folder.js';
import { PLATFORMS, resourcesOf } from '../../electron-resources/build/platforms.js';
import { locateEngine } from '../../electron-resources/main/place.js';
import { folder, service } from './engines.mjs';
import { pack, staged } from './packed.mjs';

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

// Feature: python-backend-bundling, Property 5: platform naming
test('every machine has the engine of its own platform, under the name that this platform runs, or none', () => {
  const machine = fc.record({
    platform: fc.constantFrom('linux', 'darwin', 'win32', 'freebsd'),
    arch: fc.constantFrom('x64', 'arm64', 'ia32', 'armv7l', 'universal'),
  });
  const families = { linux: /^linux-(64|aarch64)$/, darwin: /^osx-(64|arm64)$/, win32: /^win-64$/ };
  fc.assert(
    fc.property(machine, ({ platform, arch }) => {
      if (!Object.hasOwn(PLATFORMS, `${platform} ${arch}`)) {
        expect(() => resourcesOf(platform, arch)).toThrow(`no engine for ${platform} on ${arch}`);
        return;
      }
      const [name, last] = resourcesOf(platform, arch).split(path.sep).slice(-2);
      expect(last).toBe('resources');
      expect(name).toMatch(families[platform]);
      expect(/64$/.test(name) && /arm|aarch/.test(name)).toBe(arch === 'arm64');
      const { command } = locateEngine({
        isPackaged: true,
        platform,
        resourcesPath: '/r',
        repository: '',
        environment: {},
      });
      expect(command.endsWith('.exe')).toBe(platform === 'win32');
    }),
    { numRuns: 200 },
  );
  expect(new Set(Object.values(PLATFORMS)).size).toBe(Object.keys(PLATFORMS).length);
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
