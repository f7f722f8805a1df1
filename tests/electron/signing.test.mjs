// Signing, as far as it can be shown without Windows, macOS and certificates: what is signed, in which order, and what
// is written and refused after it.

import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkPacked } from '../../electron-resources/build/after-pack.js';
import { checkEngineFolder, noteLauncher } from '../../electron-resources/build/engine-folder.js';
import { signMac } from '../../electron-resources/build/sign-mac.js';
import { isSignedCopy } from '../../electron-resources/build/signed-copy.js';
import { folder } from './engines.mjs';
import { staged } from './packed.mjs';

const digest = (file) => createHash('sha256').update(fs.readFileSync(file)).digest('hex');
const read = (engine) => JSON.parse(fs.readFileSync(path.join(engine, 'engine.json'), 'utf8'));

/** A Windows program: headers for 64 bits, and something after them. */
function program(content = 'code') {
  const made = Buffer.alloc(0x200);
  made.write('MZ', 0, 'latin1');
  made.writeUInt32LE(0x80, 0x3c);
  made.write('PE\0\0', 0x80, 'latin1');
  made.writeUInt16LE(0x20b, 0x80 + 24);
  return Buffer.concat([made, Buffer.from(content)]);
}

/** The same program as signing leaves it. */
function signedOf(plain) {
  const made = Buffer.concat([plain, Buffer.from('a certificate')]);
  made.writeUInt32LE(0xabcdef, 0x80 + 24 + 64);
  made.writeUInt32LE(plain.length, 0x80 + 24 + 112 + 32);
  made.writeUInt32LE(13, 0x80 + 24 + 112 + 36);
  return made;
}

test('engine.json written again says what the launcher is now, and keeps the rest', async () => {
  const engine = staged();
  const before = read(engine);
  fs.appendFileSync(path.join(engine, 'peft_engine'), '# signed');
  await expect(checkEngineFolder(engine, 'linux')).rejects.toThrow('peft_engine has');
  await noteLauncher(engine);
  await checkEngineFolder(engine, 'linux');
  const { size, checksum, ...rest } = read(engine);
  expect({ size, checksum }).toEqual({
    size: before.size + 8,
    checksum: digest(path.join(engine, 'peft_engine')),
  });
  expect({ ...before, ...rest }).toEqual(before);
});

describe('on macOS', () => {
  /** An app with a staged engine in it, whose launcher and library are Mach-O files by their first bytes. */
  function app() {
    const made = path.join(folder(), 'PEFT Studio.app');
    const engine = path.join(made, 'Contents', 'Resources', 'backend');
    fs.cpSync(staged(), engine, { recursive: true, verbatimSymlinks: true });
    for (const name of ['peft_engine', '_internal/lib/python.so'])
      fs.writeFileSync(path.join(engine, name), Buffer.concat([Buffer.from('cffaedfe', 'hex'), Buffer.from(name)]));
    return { made, engine };
  }

  test('libraries are signed before the launcher, that before engine.json is written, and then the app', async () => {
    const { made, engine } = app();
    const order = [];
    await signMac(
      { app: made, identity: 'ABCD', keychain: '/k' },
      {
        codesign: async (...args) => {
          expect(args).toEqual(expect.arrayContaining(['--options', 'runtime', '--timestamp', '--keychain', '/k']));
          expect(args.slice(-3, -1)).toEqual(['--sign', 'ABCD']);
          order.push(path.relative(engine, args.at(-1)));
          fs.appendFileSync(args.at(-1), 'signed');
        },
        signApp: async ({ app: signed }) => {
          await checkEngineFolder(engine, 'darwin');
          order.push(signed);
        },
      },
    );
    expect(order).toEqual(['_internal/lib/python.so', 'peft_engine', made]);
  });

  test('what cannot be signed stops the build, with the reason, and the app is not signed', async () => {
    const { made } = app();
    const tools = {
      codesign: () => Promise.reject(new Error('errSecInternalComponent')),
      signApp: () => Promise.reject(new Error('never')),
    };
    await expect(signMac({ app: made, identity: 'ABCD' }, tools)).rejects.toThrow('errSecInternalComponent');
    await expect(signMac({ app: made }, tools)).rejects.toThrow('no identity');
  });
});

describe('on Windows', () => {
  /** A staged engine of Windows, and the app that it was packed to with this launcher. */
  function packed(launcher) {
    const engine = staged({ program: 'peft_engine.exe', content: program() });
    const out = folder();
    const copy = path.join(out, 'resources', 'backend');
    fs.cpSync(engine, copy, { recursive: true, verbatimSymlinks: true });
    fs.writeFileSync(path.join(copy, 'peft_engine.exe'), launcher);
    const packager = { getResourcesDir: (appOutDir) => path.join(appOutDir, 'resources') };
    return { copy, check: () => checkPacked({ appOutDir: out, electronPlatformName: 'win32', packager }, engine) };
  }

  test('a launcher signed by the builder is taken, and engine.json written again', async () => {
    const { copy, check } = packed(signedOf(program()));
    await check();
    expect(read(copy).checksum).toBe(digest(path.join(copy, 'peft_engine.exe')));
  });

  test('an unsigned one is taken as it is', async () => {
    const { copy, check } = packed(program());
    const before = read(copy);
    await check();
    expect(read(copy)).toEqual(before);
  });

  test('one with any byte of the program changed besides is refused', async () => {
    const plain = program();
    const file = path.join(folder(), 'plain.exe');
    const other = path.join(folder(), 'signed.exe');
    fs.writeFileSync(file, plain);
    fs.writeFileSync(other, signedOf(plain));
    expect(await isSignedCopy(file, other)).toBe(true);
    const signing = new Set([...span(0x80 + 24 + 64, 4), ...span(0x80 + 24 + 112 + 32, 8)]);
    const place = fc.nat(plain.length - 1).filter((at) => !signing.has(at));
    await fc.assert(
      fc.asyncProperty(place, fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const spoiled = signedOf(plain);
        spoiled[at] ^= change;
        fs.writeFileSync(other, spoiled);
        expect(await isSignedCopy(file, other)).toBe(false);
      }),
      { numRuns: 100 },
    );
    const { check } = packed(signedOf(program('other')));
    await expect(check()).rejects.toThrow('peft_engine.exe is');
  });

  test('what is no program of Windows has no signed copy', async () => {
    const [file, other] = ['a', 'b'].map((name) => path.join(folder(), name));
    for (const content of ['', 'MZ', '#!/bin/sh', program().subarray(0, 0xc0)]) {
      fs.writeFileSync(file, content);
      fs.writeFileSync(other, `${content}, longer`);
      expect(await isSignedCopy(file, other)).toBe(false);
    }
  });
});

function span(from, length) {
  return Array.from({ length }, (_, index) => from + index);
}
